//! What a name begins with: a prefix, a number, a separator; then its description.
//!
//! | name | prefix | number | separator | description |
//! |---|---|---|---|---|
//! | `0003_users` | | `0003` | `_` | `users` |
//! | `V1_2__users` | `V` | `1_2` | `__` | `users` |
//! | `migration3` | `migration` | `3` | | |
//! | `2024-01-01.2-users` | | `2024-01-01.2` | `-` | `users` |
//! | `2024_01_05_120000_users` | | `2024_01_05_120000` | `_` | `users` |

use super::calendar;

/// A name that begins with a number, perhaps after a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) prefix: &'a str,
    /// Runs of digits, joined by single separators.
    pub(super) number: &'a str,
    pub(super) separator: &'a str,
    pub(super) description: &'a str,
}

impl<'a> Head<'a> {
    /// Takes a name apart; `None` without a digit, or where a letter follows the number after a prefix
    /// (`add_2fa`).
    pub(super) fn of(name: &'a str) -> Option<Head<'a>> {
        let (prefix, rest) = name.split_at(name.find(|c: char| c.is_ascii_digit())?);
        let (number, rest) = rest.split_at(number_end(rest));
        let description = rest.trim_start_matches(is_separator);
        let separator = &rest[..rest.len() - description.len()];
        let runs_on = separator.is_empty() && !description.is_empty();
        (prefix.is_empty() || !runs_on).then_some(Head {
            prefix,
            number,
            separator,
            description,
        })
    }

    /// Whether what stands before the number is a word (`migration`, `mig_`), not a description.
    pub(super) fn has_plain_prefix(&self) -> bool {
        let word = self.prefix.strip_suffix(is_separator);
        word.unwrap_or(self.prefix).chars().all(char::is_alphabetic)
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | ' ')
}

/// Where the number ends that `text` begins with.
///
/// Runs joined by `-` or `.` are one number; those joined by `_` only where they are a moment, as Laravel
/// writes it, or where `__` follows, as in Flyway: the 2 of `0003_2_columns` is description.
fn number_end(text: &str) -> usize {
    let mut ends = vec![run_end(text, 0)];
    while let Some(end) = next_run_end(text, ends[ends.len() - 1]) {
        ends.push(end);
    }
    let is_number = |end: &usize| {
        let (number, after) = text.split_at(*end);
        !number.contains('_') || after.starts_with("__") || calendar::is_moment(&digits_of(number))
    };
    ends.iter()
        .rev()
        .find(|end| is_number(end))
        .copied()
        .unwrap_or(ends[0])
}

/// The end of the run that follows a single separator at `from`; none where a letter ends it.
fn next_run_end(text: &str, from: usize) -> Option<usize> {
    let start = from + text[from..].starts_with(['-', '.', '_']).then_some(1)?;
    let end = run_end(text, start);
    let runs_on = text[end..].starts_with(char::is_alphabetic);
    (end > start && !runs_on).then_some(end)
}

fn run_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    start + length
}

/// The digits of a number, without what joins them.
pub(super) fn digits_of(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// The number after `number` in the same look: the next moment, or the last run of digits incremented, which
/// becomes wider only from 99 to 100. `None` without a digit.
pub(super) fn increment(number: &str) -> Option<String> {
    if let Some(moment) = calendar::next(&digits_of(number)) {
        let mut digits = moment.chars();
        let laid_out = number.chars().map(|c| match c.is_ascii_digit() {
            true => digits.next().unwrap_or(c),
            false => c,
        });
        return Some(laid_out.collect());
    }
    let end = number.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = number[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| {
            at + number[at..].chars().next().map_or(1, char::len_utf8)
        });
    let run = increment_run(&number[start..end]);
    Some(format!("{}{run}{}", &number[..start], &number[end..]))
}

fn increment_run(run: &str) -> String {
    let kept = run.trim_end_matches('9');
    let zeros = "0".repeat(run.len() - kept.len());
    match kept.char_indices().next_back() {
        None => format!("1{zeros}"),
        Some((at, last)) => {
            let next = char::from_digit(last.to_digit(10).unwrap_or(0) + 1, 10).unwrap_or('0');
            format!("{}{next}{zeros}", &kept[..at])
        }
    }
}
