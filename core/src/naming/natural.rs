//! Natural order as bytes.
//!
//! A byte that is no digit stands for itself. A run of digits becomes `0`, the number of its significant
//! digits and those digits, so that runs compare by value and as a block keep the place that digits have
//! among the bytes. NUL ends the name (no name holds one), so that a prefix sorts first. After it, for the
//! sake of names that differ in leading zeros only, follows the number of zeros of each run.

use super::push_count;

/// Sorts below every byte that a name can hold.
const END: u8 = 0;

pub(super) fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 16);
    let mut zeros = Vec::new();
    let mut rest = name.as_bytes();
    while let Some(&byte) = rest.first() {
        if byte.is_ascii_digit() {
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (run, after) = rest.split_at(length);
            let leading = run.iter().take_while(|b| **b == b'0').count();
            let significant = &run[leading..];
            key.push(b'0');
            push_count(&mut key, significant.len());
            key.extend_from_slice(significant);
            push_count(&mut zeros, leading);
            rest = after;
        } else {
            key.push(byte);
            rest = &rest[1..];
        }
    }
    key.push(END);
    key.extend_from_slice(&zeros);
    key
}
