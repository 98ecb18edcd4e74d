//! What the pre and the post of a release may do.
//!
//! Two snapshots, before and after one migration, are compared. While pre of a release runs, the code of the
//! release before is at work, so that pre may only expand what was there when the release began; what the
//! release itself has made is free. Post cleans up: the code of its release runs already and needs nothing new.
//! Each rule is a file, with what it looks for and what to do instead; [`rules`] lists them.
//!
//! Not seen: what a statement does to rows, what lies outside of the schemas that the snapshots hold, and
//! whether old code really uses what is changed.

mod base;
mod change;
mod judge;
mod name;
mod post;
mod pre;
mod rule;
mod select_list;
mod statement;
mod unique;
mod versioned;
mod violation;
mod waiver;
mod widening;

#[cfg(test)]
mod tests;

use std::str::FromStr;

pub use base::Base;
pub use judge::{Judged, judge};
pub use rule::{Applies, Rule, find, near, rules};
pub use statement::{Alone, judge_alone};
pub use violation::Violation;
pub use waiver::{Settled, Waiver, settle};

/// What becomes of a migration that breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforcement {
    /// Refused where a phase is asked for; else reported.
    #[default]
    Enforce,
    /// Reported, and kept.
    Report,
    /// Nothing is looked at.
    Off,
}

impl Enforcement {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Enforcement::Enforce => "enforce",
            Enforcement::Report => "report",
            Enforcement::Off => "off",
        }
    }
}

impl FromStr for Enforcement {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Enforcement::Enforce, Enforcement::Report, Enforcement::Off]
            .into_iter()
            .find(|one| one.word() == word)
            .ok_or(())
    }
}
