//! The migrations of one side, in the project's order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use super::error::CheckError;
use crate::checksum::Checksum;
use crate::layout::{Definition, LayoutError, LoadedSet, SourceFile, read_files};
use crate::name::NameError;
use crate::naming::Naming;

/// Which of the two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What is merged into.
    Base,
    /// What is to be merged.
    Head,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Base => "base",
            Side::Head => "head",
        })
    }
}

/// Reads the files of a side; `None` where none is a migration.
pub(super) fn read(side: Side, files: &[SourceFile<'_>]) -> Result<Option<LoadedSet>, CheckError> {
    match read_files(files) {
        Ok(set) => Ok(Some(set)),
        Err(LayoutError::NoMigrations { .. }) => Ok(None),
        Err(source) => Err(CheckError::Files { side, source }),
    }
}

/// A migration of a side.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) key: Vec<u8>,
    pub(super) definition: Definition,
    pub(super) checksum: Checksum,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By place in the order; different names have different places.
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

pub(super) fn name(held: &Held) -> &str {
    &held.definition.name
}

/// The migrations of a side, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    pub(super) held: Vec<Held>,
    places: HashMap<String, usize>,
}

impl Set {
    pub(super) fn new(
        side: Side,
        naming: Naming,
        loaded: Option<LoadedSet>,
    ) -> Result<Set, CheckError> {
        let definitions = loaded.map_or_else(Vec::new, |set| set.migrations);
        let mut held = Vec::with_capacity(definitions.len());
        for definition in definitions {
            let key = naming
                .sort_key(&definition.name)
                .map_err(|source| name_error(side, &definition, source))?;
            let checksum =
                Checksum::of(&definition.up, definition.down.as_deref()).map_err(|source| {
                    CheckError::Checksum {
                        side,
                        name: definition.name.clone(),
                        source,
                    }
                })?;
            held.push(Held {
                key,
                definition,
                checksum,
            });
        }
        held.sort();
        let places = held.iter().enumerate();
        Ok(Set {
            places: places
                .map(|(place, one)| (one.definition.name.clone(), place))
                .collect(),
            held,
        })
    }

    /// Refuses what a project that found its naming in `base` would refuse to register.
    pub(super) fn refuse_mixing(&self, naming: Naming, base: &Set) -> Result<(), CheckError> {
        // Where base is empty, the naming was found in these very names.
        if base.held.is_empty() && naming != Naming::Release {
            return Ok(());
        }
        for one in self.beside(base) {
            naming
                .check_new(&one.definition.name)
                .map_err(|source| name_error(Side::Head, &one.definition, source))?;
        }
        Ok(())
    }

    pub(super) fn find(&self, name: &str) -> Option<&Held> {
        self.places
            .get(name)
            .and_then(|place| self.held.get(*place))
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<&Held> {
        self.held.last()
    }

    /// What the other side does not have, in order.
    pub(super) fn beside(&self, other: &Set) -> impl Iterator<Item = &Held> {
        self.held
            .iter()
            .filter(|one| other.find(&one.definition.name).is_none())
    }
}

fn name_error(side: Side, definition: &Definition, source: NameError) -> CheckError {
    CheckError::Files {
        side,
        source: LayoutError::Name {
            path: definition.up_path.clone(),
            source,
        },
    }
}
