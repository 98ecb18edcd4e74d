//! The three namings and the one comparator of each.
//!
//! A comparator is a byte key: comparing keys as bytes (memcmp, PostgreSQL's `bytea` order) *is* the
//! order, so that the registry's index and this crate can never disagree, and no collation of a database
//! takes part. Different names have different keys.

mod diesel;
mod natural;
mod release;
mod rules;
mod suggest;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use release::{MalformedRelease, Phase, ReleaseName, UnknownPhase, parse_release};
pub(crate) use rules::sound_release_name;

use crate::name::{NameError, check_name};

/// How the names of a project are read and ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Naming {
    /// Runs of digits by value, everything else by byte: `2_b` before `10_a`.
    ///
    /// Integers, dates and timestamps of one width sort as golang-migrate, sqlx and dbmate sort them.
    Natural,
    /// `MM.mm.pp_NN_[pre|post]_description`, by (semver precedence, NN, name).
    Release,
    /// The version is what stands before the first `_`, dashes removed, compared as a string; ties by
    /// the whole name.
    ///
    /// diesel takes a directory's name up to the first `_`, deletes every `-` and compares the rest as a
    /// string (`version_from_string` in its `migrations_internals`).
    Diesel,
}

impl Naming {
    /// The key of a name: comparing the keys of two names as bytes is their order in this naming.
    ///
    /// ```
    /// # use belay_core::naming::Naming;
    /// let key = |name| Naming::Natural.sort_key(name);
    /// assert!(key("2_b")? < key("10_a")?);
    /// # Ok::<(), belay_core::name::NameError>(())
    /// ```
    ///
    /// Less than 2,600 bytes for any name that [`check_name`] lets pass, so that it fits a btree index.
    ///
    /// # Errors
    ///
    /// What [`check_name`] refuses; in [`Naming::Release`] also what is not in release form.
    pub fn sort_key(self, name: &str) -> Result<Vec<u8>, NameError> {
        check_name(name)?;
        match self {
            Naming::Natural => Ok(natural::key(name)),
            Naming::Release => Ok(release::key(&ReleaseName::parse(name)?, name)),
            Naming::Diesel => Ok(diesel::key(name)),
        }
    }

    /// The naming of a set of names: [`Naming::Release`] if there are any and all are in release form, else
    /// [`Naming::Natural`].
    ///
    /// [`Naming::Diesel`] is never found here: its names look like others, only its directories tell.
    pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Naming {
        let mut names = names.into_iter().peekable();
        let any = names.peek().is_some();
        if any && names.all(|name| ReleaseName::parse(name).is_ok()) {
            Naming::Release
        } else {
            Naming::Natural
        }
    }

    /// Whether a name may be registered in a project of this naming.
    ///
    /// # Errors
    ///
    /// What [`check_name`] refuses; [`NameError::NotRelease`] for another name in a release project;
    /// [`NameError::Mixing`] for a name in release form in a natural project. diesel's names are free.
    pub fn check(self, name: &str) -> Result<(), NameError> {
        check_name(name)?;
        match self {
            Naming::Release => ReleaseName::parse(name).map(|_| ()),
            Naming::Natural if ReleaseName::parse(name).is_ok() => Err(NameError::Mixing {
                name: name.to_owned(),
                naming: self,
            }),
            Naming::Natural | Naming::Diesel => Ok(()),
        }
    }
}

impl Naming {
    /// Whether a name may be registered anew: what [`Naming::check`] says and, in [`Naming::Release`], the
    /// rules that are about more than the order. What is registered already is judged by `check`.
    ///
    /// # Errors
    ///
    /// Those of [`Naming::check`]; [`NameError::NotRelease`] with the first rule that the name breaks.
    pub fn check_new(self, name: &str) -> Result<(), NameError> {
        self.check(name)?;
        match self {
            Naming::Release => rules::check(name),
            Naming::Natural | Naming::Diesel => Ok(()),
        }
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Naming::Natural => "natural",
            Naming::Release => "release",
            Naming::Diesel => "diesel",
        })
    }
}

/// A word that names no naming.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown naming \"{word}\"")]
pub struct UnknownNaming {
    /// The word as it was given.
    pub word: String,
}

impl UnknownNaming {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        "use 'natural', 'release' or 'diesel'".to_owned()
    }
}

impl FromStr for Naming {
    type Err = UnknownNaming;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "natural" => Ok(Naming::Natural),
            "release" => Ok(Naming::Release),
            "diesel" => Ok(Naming::Diesel),
            _ => Err(UnknownNaming {
                word: word.to_owned(),
            }),
        }
    }
}

/// Appends a count so that longer counts sort later: one byte below 255, three from there on.
///
/// Names have at most 500 characters, so that 16 bits hold every count that occurs.
fn push_count(key: &mut Vec<u8>, count: usize) {
    match u8::try_from(count) {
        Ok(small) if small < u8::MAX => key.push(small),
        _ => {
            key.push(u8::MAX);
            let wide = u16::try_from(count).unwrap_or(u16::MAX);
            key.extend_from_slice(&wide.to_be_bytes());
        }
    }
}
