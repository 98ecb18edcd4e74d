//! The gate of post: which connected clients still run the code of an older release.
//!
//! What a client shows is read by [`Pattern`], and [`judge`] says of each what it means for a post. Who is
//! connected is the caller's to know; a client that comes a moment later is seen by nobody.

mod pattern;
mod verdict;

#[cfg(test)]
mod tests;

use std::str::FromStr;

pub use pattern::{MAX_SHOWN_BYTES, Pattern, PatternError};
pub use verdict::{Judgement, Rules, Shown, Standing, judge};

/// How clients are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// By the application_name of their sessions, and by check-ins.
    #[default]
    Sessions,
    /// By check-ins only; none at all refuses.
    Checkin,
}

impl Source {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Source::Sessions => "sessions",
            Source::Checkin => "checkin",
        }
    }
}

impl FromStr for Source {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Source::Sessions, Source::Checkin]
            .into_iter()
            .find(|one| one.word() == word)
            .ok_or(())
    }
}

/// What a client that shows no release means for the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownClients {
    /// It is counted and named.
    #[default]
    Allow,
    /// It keeps the gate shut.
    Refuse,
}

impl UnknownClients {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            UnknownClients::Allow => "allow",
            UnknownClients::Refuse => "refuse",
        }
    }
}

impl FromStr for UnknownClients {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [UnknownClients::Allow, UnknownClients::Refuse]
            .into_iter()
            .find(|one| one.word() == word)
            .ok_or(())
    }
}
