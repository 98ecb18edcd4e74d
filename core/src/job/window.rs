//! Between which releases a job may run.

use std::cmp::Ordering;

use semver::Version;

use super::error::DefinitionError;
use super::read::wrong;
use crate::naming::parse_release;

/// Where a release stands to two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Between them.
    Open,
    /// Before the lower one.
    Future,
    /// After the upper one.
    Missed,
}

impl Window {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Window::Open => "open",
            Window::Future => "future",
            Window::Missed => "missed",
        }
    }
}

/// Where `release` stands; both bounds are inclusive, and compared by precedence (Semantic Versioning 2.0.0, section 11).
/// Without a release a bounded window is in the future.
#[must_use]
pub fn judge(min: Option<&Version>, max: Option<&Version>, release: Option<&Version>) -> Window {
    match release {
        None if min.is_none() && max.is_none() => Window::Open,
        None => Window::Future,
        Some(release) if min.is_some_and(|min| release.cmp_precedence(min) == Ordering::Less) => {
            Window::Future
        }
        Some(release)
            if max.is_some_and(|max| release.cmp_precedence(max) == Ordering::Greater) =>
        {
            Window::Missed
        }
        Some(_) => Window::Open,
    }
}

/// Whether a job that depends on another one can never run in time: its last release comes before the other's first one.
#[must_use]
pub fn is_impossible(child_max: Option<&Version>, parent_min: Option<&Version>) -> bool {
    matches!((child_max, parent_min), (Some(max), Some(min)) if max.cmp_precedence(min) == Ordering::Less)
}

/// Both bounds are releases, and the upper one is not below the lower one.
pub(super) fn check(min: Option<&str>, max: Option<&str>) -> Result<(), DefinitionError> {
    let bound = |place: &str, text: Option<&str>| {
        let read = |text: &str| {
            parse_release(text).map_err(|error| wrong(place, error.to_string(), error.hint()))
        };
        text.map(read).transpose()
    };
    let (min, max) = (bound("min_release", min)?, bound("max_release", max)?);
    match is_impossible(max.as_ref(), min.as_ref()) {
        true => Err(wrong(
            "max_release",
            "is below min_release, so no release can run it",
            "write the later release as max_release",
        )),
        false => Ok(()),
    }
}
