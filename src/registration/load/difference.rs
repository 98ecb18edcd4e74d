//! What a set of definitions means for the registry: added, replaced, kept, missing.

use std::collections::{HashMap, HashSet};

use belay_core::layout::Definition;
use belay_core::naming::Naming;

use super::{Load, OnMissing};
use crate::error::{Code, Failure, Result};
use crate::ledger::project::Project;
use crate::ledger::registry::{NewMigration, Registered};
use crate::registration::definition::{self, checksum};
use crate::registration::register::changed;

/// What a set means for a registry.
#[derive(Default)]
pub(super) struct Difference {
    /// In the set only.
    pub(super) add: Vec<NewMigration>,
    /// Pending with another definition.
    pub(super) replace: Vec<NewMigration>,
    /// Pending, not in the set, to be removed.
    pub(super) prune: Vec<String>,
    /// Applied, not in the set, after its newest.
    pub(super) ahead: Vec<String>,
    /// Applied, not in the set, before its newest.
    pub(super) missing: Vec<String>,
    /// In the set, and noted as missing or as registered by hand until now.
    pub(super) found_again: Vec<String>,
    /// How many are as they were, those found again included.
    pub(super) unchanged: usize,
}

impl Difference {
    /// What is registered already stays as it is.
    fn keep(&mut self, known: &Registered) {
        self.unchanged += 1;
        if known.missing || !known.loaded {
            self.found_again.push(known.name.clone());
        }
    }
}

/// Compares the set with what is registered. MG003 for an applied migration that changed,
/// MG002 for what may not be missing.
pub(super) fn compare(
    load: &Load<'_>,
    naming: Naming,
    set: &[Definition],
    registered: &[Registered],
) -> Result<Difference> {
    let by_name: HashMap<&str, &Registered> =
        registered.iter().map(|r| (r.name.as_str(), r)).collect();
    let mut difference = Difference::default();
    let mut newest: Vec<u8> = Vec::new();
    for definition in set {
        let key = placed(
            load.project,
            naming,
            definition,
            by_name.get(definition.name.as_str()).copied(),
            &mut difference,
        )?;
        newest = newest.max(key);
    }
    let held: HashSet<&str> = set
        .iter()
        .map(|definition| definition.name.as_str())
        .collect();
    absent(load, registered, &held, &newest, &mut difference)?;
    Ok(difference)
}

/// Notes what one definition means; its key in the project's order.
fn placed(
    project: &Project,
    naming: Naming,
    definition: &Definition,
    known: Option<&Registered>,
    difference: &mut Difference,
) -> Result<Vec<u8>> {
    let sum = checksum(definition)?;
    if let Some(known) = known {
        let same = known.checksum == sum;
        if same && (known.applied || !has_directives(definition, known)) {
            difference.keep(known);
            return Ok(known.sort_key.clone());
        }
        if known.applied {
            return Err(changed_in_file(definition, known));
        }
    }
    let new = definition::checked(project, naming, definition, sum)?;
    let key = new.sort_key.clone();
    match known {
        Some(known)
            if known.checksum == new.checksum && known.attributes.agree_with(&new.attributes) =>
        {
            difference.keep(known)
        }
        Some(_) => difference.replace.push(new),
        None => {
            definition::refuse_unsound_name(naming, &definition.name)?;
            difference.add.push(new);
        }
    }
    Ok(key)
}

/// Whether the directives of a pending migration have to be looked at: comments do not
/// count in the checksum, directives do in what runs.
fn has_directives(definition: &Definition, known: &Registered) -> bool {
    definition.directives != Default::default()
        || definition.down_transaction.is_some()
        || definition.down_lock_timeout_ms.is_some()
        || definition.down_lock_retries.is_some()
        || definition.down_privileged.is_some()
        || !known.attributes.requires.is_empty()
        || known.attributes.pairs_with.is_some()
        || known.attributes.up_lock_timeout.is_some()
        || known.attributes.down_lock_timeout.is_some()
        || known.attributes.up_lock_retries.is_some()
        || known.attributes.down_lock_retries.is_some()
        || known.attributes.privileged_said
        || !known.attributes.waivers.is_empty()
        || !known.attributes.up_transaction
        || !known.attributes.down_transaction
}

fn changed_in_file(definition: &Definition, known: &Registered) -> Failure {
    let failure = changed(known);
    match &definition.up_path {
        Some(path) => failure.detail(format!(
            "file {path}; applied with checksum {}",
            known.checksum
        )),
        None => failure,
    }
}

/// Notes what the set lacks; refuses it where it may not be missing.
fn absent(
    load: &Load<'_>,
    registered: &[Registered],
    held: &HashSet<&str>,
    newest: &[u8],
    difference: &mut Difference,
) -> Result<()> {
    for known in registered
        .iter()
        .filter(|known| !held.contains(known.name.as_str()))
    {
        match known.applied && known.loaded {
            true if known.sort_key.as_slice() > newest => difference.ahead.push(known.name.clone()),
            true => difference.missing.push(known.name.clone()),
            false if load.prune && known.loaded && !known.unfinished => {
                difference.prune.push(known.name.clone());
            }
            false => {}
        }
    }
    if difference.missing.is_empty() || load.on_missing != OnMissing::Error {
        return Ok(());
    }
    difference.missing.sort();
    Err(Failure::new(
        Code::Missing,
        match difference.missing.as_slice() {
            [one] => format!("migration \"{one}\" is applied and missing from the set"),
            many => format!("{} applied migrations are missing from the set", many.len()),
        },
        "another service's files? pass project => its own; a file that was renamed? SELECT belay.migrate_rename(old, new); on_missing => 'allow' keeps them, \
         'revert' takes them down with their stored down",
    )
    .detail(difference.missing.join("\n")))
}
