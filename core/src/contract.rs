//! What the pre and the post of a release may do.

use std::str::FromStr;

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
