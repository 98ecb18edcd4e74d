//! What a name in release form keeps to beside what its order needs.
//!
//! Procrastinate's rules: `NN` has two digits, 01 to 49 for a pre and 50 to 99 for a post, so that a plain
//! string sort puts pre before post; the description is in lower case, without dash or white space.

#[cfg(test)]
mod tests;

use super::{Phase, ReleaseName};
use crate::name::{NameError, ReleaseRule};

/// The first number of a post.
const FIRST_POST: u32 = 50;
/// The last number that has two digits.
pub(super) const LAST: u32 = 99;

pub(super) fn check(name: &str) -> Result<(), NameError> {
    let parts = ReleaseName::parse(name)?;
    match broken(name, &parts) {
        None => Ok(()),
        Some(rule) => Err(NameError::NotRelease {
            name: name.to_owned(),
            rule,
        }),
    }
}

fn broken(name: &str, parts: &ReleaseName) -> Option<ReleaseRule> {
    let number = name.split('_').nth(1).unwrap_or_default();
    let description = parts.description.as_str();
    let range_of = |phase| match phase {
        Phase::Pre => (1..FIRST_POST, ReleaseRule::PreNumber),
        Phase::Post => (FIRST_POST..LAST + 1, ReleaseRule::PostNumber),
    };
    let (range, rule) = range_of(parts.phase);
    if number.len() != 2 {
        Some(ReleaseRule::NumberWidth)
    } else if !range.contains(&parts.number) {
        Some(rule)
    } else if description.chars().any(char::is_uppercase) {
        Some(ReleaseRule::DescriptionCase)
    } else if description.contains('-') {
        Some(ReleaseRule::DescriptionDash)
    } else if description.contains(char::is_whitespace) {
        Some(ReleaseRule::DescriptionSpace)
    } else {
        None
    }
}

/// The first number that a phase has; `said` is what follows the number.
pub(super) fn first_number(said: &str) -> u32 {
    if is_post(said) { FIRST_POST } else { 1 }
}

/// What follows the number, in lower case, without dashes and white space.
pub(super) fn sound_text(said: &str) -> String {
    let plain = |c: char| match c == '-' || c.is_whitespace() {
        true => '_',
        false => c,
    };
    said.chars().map(plain).collect::<String>().to_lowercase()
}

fn is_post(said: &str) -> bool {
    said.split('_').next() == Some("post")
}

/// The name as the rules would have it; `None` where it cannot be told what is meant.
pub(crate) fn sound_release_name(name: &str) -> Option<String> {
    let mut texts = name.splitn(3, '_');
    let (version, number, rest) = (texts.next()?, texts.next()?, texts.next()?);
    let version = version.split('+').next().unwrap_or(version);
    let number: u32 = number.parse().ok()?;
    let rest = sound_text(rest);
    let number = match number {
        0 => 1,
        number => number,
    };
    let number = match is_post(&rest) && number < FIRST_POST {
        true => number + FIRST_POST - 1,
        false => number,
    };
    let sound = format!("{version}_{number:02}_{rest}");
    (sound != name && check(&sound).is_ok()).then_some(sound)
}
