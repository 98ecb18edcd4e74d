//! What directives take. Each function returns, for a value it refuses, what it expects.

use super::{DirectiveError, Pair};
use crate::name::check_name;

/// The largest `lock_timeout` of PostgreSQL, in milliseconds.
const MAX_MILLISECONDS: u64 = i32::MAX as u64;

pub(super) fn on_or_off(value: &str) -> Result<bool, &'static str> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("transaction on or transaction off"),
    }
}

/// Without a value it is on.
pub(super) fn privileged(value: &str) -> Result<bool, &'static str> {
    match value {
        "" | "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("privileged, privileged on or privileged off"),
    }
}

/// Names separated by commas; a name that holds a comma or a double quote is double-quoted.
pub(super) fn names(value: &str) -> Result<Vec<String>, &'static str> {
    const EXPECTED: &str =
        "requires NAME, NAME, each once; quote a name that holds a comma: \"NAME\"";
    let mut names: Vec<String> = Vec::new();
    let mut rest = value;
    loop {
        let (name, after) = match quoted(rest).ok_or(EXPECTED)? {
            Some(split) => split,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        if check_name(&name).is_err() || names.contains(&name) {
            return Err(EXPECTED);
        }
        names.push(name);
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(names);
        }
        rest = after.strip_prefix(',').ok_or(EXPECTED)?.trim_start();
    }
}

pub(super) fn pair(value: &str) -> Result<Pair, &'static str> {
    const EXPECTED: &str =
        "pairs-with NAME or pairs-with NAME indivisible; quote a name that holds a space: \"NAME\"";
    let (name, rest) = match quoted(value).ok_or(EXPECTED)? {
        Some(split) => split,
        None => {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            (value[..end].to_owned(), &value[end..])
        }
    };
    let indivisible = match rest.trim() {
        "" => false,
        "indivisible" => true,
        _ => return Err(EXPECTED),
    };
    check_name(&name).map_err(|_| EXPECTED)?;
    Ok(Pair { name, indivisible })
}

/// A waiver without a rule or without a reason.
pub(super) fn no_reason(value: &str, line: u32) -> DirectiveError {
    DirectiveError::BadValue {
        word: "waive".to_owned(),
        value: value.to_owned(),
        expected: "waive RULE and the reason, which the history keeps",
        line,
    }
}

/// How many attempts follow the first.
pub(super) fn retries(value: &str) -> Result<u32, &'static str> {
    const EXPECTED: &str =
        "lock-retries 3, the number of attempts after the first, at most 2147483647";
    // u32's own parser takes a sign.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|retries| digits && *retries <= i32::MAX as u32)
        .ok_or(EXPECTED)
}

/// A time as PostgreSQL's settings write it: a whole number and a unit, `ms`, `s`, `min`, `h` or `d`.
///
/// Unlike the server it wants the unit, for `lock-timeout 2` would be two milliseconds.
pub(crate) fn milliseconds(value: &str) -> Result<u32, &'static str> {
    const EXPECTED: &str = "lock-timeout 500ms, 2s or 1min, at most 2147483647ms; 0 = no timeout";
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    let number: u64 = digits.parse().map_err(|_| EXPECTED)?;
    let factor = match unit.trim_start() {
        "" if number == 0 => 1,
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(EXPECTED),
    };
    number
        .checked_mul(factor)
        .filter(|total| *total <= MAX_MILLISECONDS)
        .and_then(|total| u32::try_from(total).ok())
        .ok_or(EXPECTED)
}

/// A double-quoted name at the start, and what follows it: `Some(None)` where there is no quote, `None` where
/// the quote has no end.
#[allow(clippy::option_option, reason = "the two absences differ")]
fn quoted(text: &str) -> Option<Option<(String, &str)>> {
    let Some(mut rest) = text.strip_prefix('"') else {
        return Some(None);
    };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some(Some((name, after))),
        }
    }
}
