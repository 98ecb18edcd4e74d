//! What can be asked of the planner.

use std::fmt;
use std::str::FromStr;

use semver::Version;

use super::facts::{Facts, Standing};
use crate::naming::Phase;

/// The word that means "nothing applied" as the target of `migrate_to`.
pub const NONE_TARGET: &str = "@none";

/// Which way a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Applying.
    Up,
    /// Reverting.
    Down,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Up => "up",
            Direction::Down => "down",
        })
    }
}

/// Where `migrate_to` should end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Nothing applied; written `@none`.
    None,
    /// The named migration is the last one applied.
    Name(String),
}

impl FromStr for Target {
    type Err = PlanError;

    /// Reads `@none` or a name.
    ///
    /// # Errors
    ///
    /// [`PlanError::EmptyTarget`]: an unset variable must not revert everything.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "" => Err(PlanError::EmptyTarget),
            NONE_TARGET => Ok(Target::None),
            name => Ok(Target::Name(name.to_owned())),
        }
    }
}

/// One call of a verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Apply what is pending. The conditions narrow each other: first through the target, of these the
    /// releases and the phase, of these the first `steps`.
    Up {
        /// The last migration to apply.
        target: Option<String>,
        /// At most so many.
        steps: Option<u32>,
        /// Only this phase.
        phase: Option<Phase>,
        /// Only releases up to and including this one (semver precedence).
        release: Option<Version>,
    },
    /// Revert the most recently applied.
    Down {
        /// So many, or all where fewer are applied.
        steps: u32,
    },
    /// Apply or revert until the target is the last one.
    To {
        /// Where to end.
        target: Target,
    },
    /// Revert the most recently applied and apply them again.
    Redo {
        /// So many, or all where fewer are applied.
        steps: u32,
    },
}

/// Which applied migrations the caller has to list in [`Facts::applied`], newest position first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppliedWanted {
    /// None.
    Nothing,
    /// The most recently applied ones, at most so many.
    Newest(u32),
    /// If the named migration is applied: all whose position is above its own; otherwise none.
    /// (Listing the named one too, or more, does no harm.)
    NewerThan(String),
    /// All.
    All,
}

impl Request {
    /// Everything that is pending.
    pub const LATEST: Request = Request::Up {
        target: None,
        steps: None,
        phase: None,
        release: None,
    };

    /// Which applied migrations a plan of this request depends on.
    #[must_use]
    pub fn applied_wanted(&self) -> AppliedWanted {
        match self {
            Request::Up { .. } => AppliedWanted::Nothing,
            Request::Down { steps } | Request::Redo { steps } => AppliedWanted::Newest(*steps),
            Request::To {
                target: Target::None,
            } => AppliedWanted::All,
            Request::To {
                target: Target::Name(name),
            } => AppliedWanted::NewerThan(name.clone()),
        }
    }

    /// The name whose standing the caller has to look up for this request.
    #[must_use]
    pub fn target_name(&self) -> Option<&str> {
        match self {
            Request::Up { target, .. } => target.as_deref(),
            Request::To {
                target: Target::Name(name),
            } => Some(name),
            _ => None,
        }
    }
}

/// A request that cannot be planned at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The target is not registered.
    #[error("migration \"{name}\" is not registered")]
    UnknownTarget {
        /// The target as it was given.
        name: String,
    },
    /// `@none` where only a migration makes sense.
    #[error("\"@none\" is not a migration that can be applied")]
    NoneIsNotUp,
    /// The target is the empty string.
    #[error("target is empty")]
    EmptyTarget,
    /// `steps` is zero.
    #[error("steps must be at least 1")]
    NoSteps,
    /// A phase or a release was asked for, and a pending migration's name has none.
    #[error("migration \"{name}\" has no release and phase")]
    NoReleases {
        /// The first pending migration without them.
        name: String,
    },
}

impl PlanError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            PlanError::UnknownTarget { .. } => {
                "SELECT name, state FROM belay.migrate_status() lists what is registered".to_owned()
            }
            PlanError::NoneIsNotUp => {
                "CALL belay.migrate_to('@none') reverts everything".to_owned()
            }
            PlanError::EmptyTarget => {
                "name a migration; '@none' as the target of migrate_to reverts everything"
                    .to_owned()
            }
            PlanError::NoSteps => "pass steps => 1 or more".to_owned(),
            PlanError::NoReleases { .. } => {
                "phase and release need a project with naming 'release'; use target or steps"
                    .to_owned()
            }
        }
    }
}

/// Where the target stands.
pub(super) fn standing_of(name: &str, facts: &Facts) -> Result<Standing, PlanError> {
    if name.is_empty() {
        return Err(PlanError::EmptyTarget);
    }
    facts
        .standing
        .get(name)
        .copied()
        .ok_or_else(|| PlanError::UnknownTarget {
            name: name.to_owned(),
        })
}
