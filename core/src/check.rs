//! The check before a merge: what the migrations of one branch (head) mean to databases that follow
//! another (base).
//!
//! | problem | what it is |
//! |---|---|
//! | late | new in head, and sorts before the newest of base: where base is applied, it comes too late |
//! | changed | in both, and its SQL differs: where base is applied, it is refused |
//! | missing | in base, and not in head |
//!
//! Both sides are read as a load reads them, so that what passes here is not refused there for its names or
//! its files. Not guaranteed: that the SQL is right, or that it has the same effect in any order; only a
//! scratch run knows that. Directives that differ are no change: an applied migration keeps its own.

mod difference;
mod error;
mod late;
mod new_name;
mod scratch;
mod set;
mod summary;

#[cfg(test)]
mod tests;

use std::fmt;

use semver::Version;

pub use error::CheckError;
pub use scratch::{ScratchError, ScratchRun};
pub use set::Side;
pub use summary::Summary;

use self::set::Set;
use crate::layout::SourceFile;
use crate::naming::{Naming, ReleaseName};

/// Two sets of files and what is known of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Comparison<'a> {
    /// The files of the branch that is merged into.
    pub base: &'a [SourceFile<'a>],
    /// The files as they would be after the merge.
    pub head: &'a [SourceFile<'a>],
    /// The naming of the project; `None`: found from base as a project finds it, from head where base is
    /// empty.
    pub naming: Option<Naming>,
    /// The release for which new names are suggested; `None`: the newest one.
    pub release: Option<&'a Version>,
    /// What a scratch run saw: then only those count as late whose order matters.
    pub scratch: Option<&'a ScratchRun>,
}

/// What is wrong with a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// New, and sorts before the newest of base.
    Late,
    /// Its SQL differs.
    Changed,
    /// Head does not have it.
    Missing,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::Late => "late",
            Problem::Changed => "changed",
            Problem::Missing => "missing",
        })
    }
}

/// A migration that would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub problem: Problem,
    /// The facts.
    pub detail: String,
    /// For a late one: the next free name after all of base and head, or between base and what else is new;
    /// the name that it has in base, where it is one of base's under another name.
    pub suggested_name: Option<String>,
}

impl Comparison<'_> {
    /// What is found, in the order of the names; nothing where head may be merged.
    ///
    /// ```
    /// # use belay_core::check::Comparison;
    /// # use belay_core::layout::SourceFile;
    /// let file = |path| SourceFile { path, content: b"SELECT 1" };
    /// let (base, head) = (["1_a.sql", "3_c.sql"].map(file), ["1_a.sql", "2_b.sql", "3_c.sql"].map(file));
    /// let found = Comparison { base: &base, head: &head, ..Comparison::default() }.findings()?;
    /// assert_eq!(found[0].suggested_name.as_deref(), Some("4_b"));
    /// # Ok::<(), belay_core::check::CheckError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CheckError`]: a side that cannot be read, a name that the naming refuses, a release that cannot be
    /// the next one, no migration on either side. One side may be empty.
    pub fn findings(&self) -> Result<Vec<Finding>, CheckError> {
        let (base, head) = (
            set::read(Side::Base, self.base)?,
            set::read(Side::Head, self.head)?,
        );
        let found = base.as_ref().or(head.as_ref());
        let Some(found) = found.and_then(|set| set.naming_hint) else {
            return Err(CheckError::Empty);
        };
        let naming = self.naming.unwrap_or(found);
        let base = Set::new(Side::Base, naming, base)?;
        let head = Set::new(Side::Head, naming, head)?;
        if self.naming.is_none() {
            head.refuse_mixing(naming, &base)?;
        }
        self.refuse_release(naming, &base, &head)?;
        let mut findings = late::find(self, naming, &base, &head);
        findings.extend(difference::find(&base, &head));
        findings.sort_by_key(|finding| naming.sort_key(&finding.name).ok());
        Ok(findings)
    }

    /// Refuses a release that no new name can have.
    fn refuse_release(&self, naming: Naming, base: &Set, head: &Set) -> Result<(), CheckError> {
        let Some(release) = self.release else {
            return Ok(());
        };
        if naming != Naming::Release {
            return Err(CheckError::NoReleases { naming });
        }
        let newest = base.last().max(head.last());
        let parts = newest.and_then(|held| ReleaseName::parse(&held.definition.name).ok());
        match parts {
            Some(parts) if release.cmp_precedence(&parts.release).is_lt() => {
                Err(CheckError::OldRelease {
                    release: release.clone(),
                    newest: parts.release,
                })
            }
            _ => Ok(()),
        }
    }
}
