//! Names in release form, `MM.mm.pp_NN_[pre|post]_description`, and their order.
//!
//! The form is procrastinate's. Its names before 3.0.0 have no `pre` or `post`; its own tests take them for
//! `pre`, and so does this module. Parsing is lenient where the order does not depend on it: leading zeros
//! in the version (`03.04.00`) and numbers of any width pass.

use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease, Version};

use crate::name::{NameError, ReleaseRule};

/// When a migration of a release runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before the release's code is deployed.
    Pre,
    /// After the code of earlier releases has gone.
    Post,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Pre => "pre",
            Phase::Post => "post",
        })
    }
}

/// A word that names no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown phase \"{word}\"")]
pub struct UnknownPhase {
    /// The word as it was given.
    pub word: String,
}

impl UnknownPhase {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        "use 'pre' or 'post'".to_owned()
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "pre" => Ok(Phase::Pre),
            "post" => Ok(Phase::Post),
            _ => Err(UnknownPhase {
                word: word.to_owned(),
            }),
        }
    }
}

/// The parts of a name in release form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseName {
    /// The release, without build metadata.
    pub release: Version,
    /// `NN`, the place within the release.
    pub number: u32,
    /// The phase; [`Phase::Pre`] where the name has none.
    pub phase: Phase,
    /// What follows.
    pub description: String,
}

impl ReleaseName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`NameError::NotRelease`] with the first [`ReleaseRule`] that the name breaks.
    pub fn parse(name: &str) -> Result<ReleaseName, NameError> {
        parse(name).map_err(|rule| NameError::NotRelease {
            name: name.to_owned(),
            rule,
        })
    }
}

/// A text that is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a release")]
pub struct MalformedRelease {
    /// The text as it was given.
    pub text: String,
}

impl MalformedRelease {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        "write three numbers, and perhaps a pre-release: '3.1.0' or '3.1.0-rc.1'".to_owned()
    }
}

/// Reads a release as names write it: leading zeros are allowed, `03.04.00` is `3.4.0`.
///
/// # Errors
///
/// [`MalformedRelease`].
pub fn parse_release(text: &str) -> Result<Version, MalformedRelease> {
    parse_version(text).map_err(|_| MalformedRelease {
        text: text.to_owned(),
    })
}

fn parse_version(text: &str) -> Result<Version, ReleaseRule> {
    let (without_build, build) = match text.split_once('+') {
        Some((head, build)) => (head, Some(build)),
        None => (text, None),
    };
    let (numbers, pre) = match without_build.split_once('-') {
        Some((numbers, pre)) => (numbers, Some(pre)),
        None => (without_build, None),
    };
    let mut parts = [0_u64; 3];
    let mut given = numbers.split('.');
    for part in &mut parts {
        *part = parse_number(given.next().ok_or(ReleaseRule::Version)?)?;
    }
    if given.next().is_some() {
        return Err(ReleaseRule::Version);
    }
    if build.is_some() {
        return Err(ReleaseRule::BuildMetadata);
    }
    let [major, minor, patch] = parts;
    Ok(Version {
        major,
        minor,
        patch,
        pre: match pre {
            Some("") => return Err(ReleaseRule::PreRelease),
            Some(pre) => Prerelease::new(pre).map_err(|_| ReleaseRule::PreRelease)?,
            None => Prerelease::EMPTY,
        },
        build: BuildMetadata::EMPTY,
    })
}

fn parse_number(digits: &str) -> Result<u64, ReleaseRule> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ReleaseRule::Version);
    }
    digits.parse().map_err(|_| ReleaseRule::VersionTooLarge)
}

fn parse(name: &str) -> Result<ReleaseName, ReleaseRule> {
    let (version, rest) = match name.split_once('_') {
        Some((version, rest)) => (version, Some(rest)),
        None => (name, None),
    };
    let release = parse_version(version)?;
    let (number, rest) = rest
        .and_then(|rest| rest.split_once('_'))
        .ok_or(ReleaseRule::Number)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ReleaseRule::Number);
    }
    let number = number.parse().map_err(|_| ReleaseRule::NumberTooLarge)?;
    let (phase, description) = parse_phase(rest)?;
    if description.is_empty() {
        return Err(ReleaseRule::Description);
    }
    Ok(ReleaseName {
        release,
        number,
        phase,
        description: description.to_owned(),
    })
}

fn parse_phase(rest: &str) -> Result<(Phase, &str), ReleaseRule> {
    let (word, description) = rest.split_once('_').unwrap_or((rest, ""));
    match word {
        "pre" => Ok((Phase::Pre, description)),
        "post" => Ok((Phase::Post, description)),
        // Taken for a description, `POST_x` would run before the deployment.
        _ if word.eq_ignore_ascii_case("pre") || word.eq_ignore_ascii_case("post") => {
            Err(ReleaseRule::PhaseCase)
        }
        _ => Ok((Phase::Pre, rest)),
    }
}

const PRE_RELEASE: u8 = 1;
const FULL_RELEASE: u8 = 2;
const NO_MORE_IDENTIFIERS: u8 = 0;
const NUMERIC: u8 = 1;
const ALPHANUMERIC: u8 = 2;

/// (semver precedence, number, name) as bytes; precedence by semver.org 2.0.0, section 11.
pub(super) fn key(parts: &ReleaseName, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 16);
    let Version {
        major,
        minor,
        patch,
        pre,
        ..
    } = &parts.release;
    for number in [major, minor, patch] {
        push_number(&mut key, *number);
    }
    if pre.is_empty() {
        key.push(FULL_RELEASE);
    } else {
        key.push(PRE_RELEASE);
        for identifier in pre.split('.') {
            push_identifier(&mut key, identifier);
        }
        key.push(NO_MORE_IDENTIFIERS);
    }
    key.extend_from_slice(&parts.number.to_be_bytes());
    key.extend_from_slice(name.as_bytes());
    key
}

/// The number of significant bytes, then these.
fn push_number(key: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    super::push_count(key, bytes.len() - zeros);
    key.extend_from_slice(&bytes[zeros..]);
}

/// Numeric identifiers sort by value (semver allows no leading zeros) and below the others.
fn push_identifier(key: &mut Vec<u8>, identifier: &str) {
    if identifier.bytes().all(|b| b.is_ascii_digit()) {
        key.push(NUMERIC);
        super::push_count(key, identifier.len());
        key.extend_from_slice(identifier.as_bytes());
    } else {
        key.push(ALPHANUMERIC);
        key.extend_from_slice(identifier.as_bytes());
        key.push(NO_MORE_IDENTIFIERS);
    }
}
