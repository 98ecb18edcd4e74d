//! diesel's order as bytes.
//!
//! The version without its dashes comes first, ended by NUL. Names of one version differ in where their
//! dashes stand and in what follows; writing the whole name behind the version would nearly double the
//! key, so that only the number of dashes before each character is written. At the first difference one
//! name goes on with a dash and the other with the version's next character: more dashes sort first
//! where that character is above the dash, last where it is below.

use super::push_count;

const END: u8 = 0;
const NAME_ENDS: u8 = 0;
const NAME_GOES_ON: u8 = 1;

pub(super) fn key(name: &str) -> Vec<u8> {
    let (dashed, rest) = match name.find('_') {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    let mut key: Vec<u8> = dashed.bytes().filter(|b| *b != b'-').collect();
    key.push(END);
    let mut dashes = 0;
    for character in dashed.chars() {
        if character == '-' {
            dashes += 1;
        } else {
            push_dashes(&mut key, dashes, character > '-');
            dashes = 0;
        }
    }
    if rest.is_empty() {
        // The end of a name is below the dash, and `_` is above it.
        key.push(NAME_ENDS);
        push_dashes(&mut key, dashes, false);
    } else {
        key.push(NAME_GOES_ON);
        push_dashes(&mut key, dashes, true);
    }
    key.extend_from_slice(rest.as_bytes());
    key
}

fn push_dashes(key: &mut Vec<u8>, dashes: usize, more_sort_first: bool) {
    let start = key.len();
    push_count(key, dashes);
    if more_sort_first {
        for byte in &mut key[start..] {
            *byte = !*byte;
        }
    }
}
