//! A whole set of files at once: the registry is brought in line with it.

use std::collections::{HashMap, HashSet};

use belay_core::layout::{Definition, SourceFile, read_files};
use belay_core::naming::Naming;
use belay_core::plan::Request;

use super::definition::{self, checksum};
use super::register::changed;
use crate::engine::call::{Call, OnContention};
use crate::engine::{self};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::registry::{NewMigration, Registered};
use crate::pg::client;
use crate::pg::transaction::Mode;

/// What to do with an applied migration that came by a load, that this set lacks and that is
/// not ahead of it. A load says nothing of what was registered by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// MG002, nothing changes.
    Error,
    /// Keep it, noted as missing.
    Allow,
    /// Take it down with its stored down, and out of the registry.
    Revert,
}

impl std::str::FromStr for OnMissing {
    type Err = ();

    fn from_str(word: &str) -> std::result::Result<Self, ()> {
        match word {
            "error" => Ok(OnMissing::Error),
            "allow" => Ok(OnMissing::Allow),
            "revert" => Ok(OnMissing::Revert),
            _ => Err(()),
        }
    }
}

/// One load.
pub struct Load<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The project.
    pub project: &'a Project,
    /// The files: path and content.
    pub files: &'a [(String, Vec<u8>)],
    /// See [`OnMissing`].
    pub on_missing: OnMissing,
    /// Remove pending migrations that came by a load and are not in this one.
    pub prune: bool,
}

/// One thing a load did.
#[derive(Debug)]
pub struct Change {
    /// The migration.
    pub name: String,
    /// `added`, `replaced`, `pruned`, `reverted`, `missing` or `ahead`.
    pub action: &'static str,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// What a set means for a registry.
#[derive(Default)]
struct Difference {
    add: Vec<NewMigration>,
    replace: Vec<NewMigration>,
    prune: Vec<String>,
    ahead: Vec<String>,
    missing: Vec<String>,
    found_again: Vec<String>,
    unchanged: usize,
}

/// Loads the set; everything or nothing.
pub fn load(load: &Load<'_>) -> Result<Vec<Change>> {
    let sources: Vec<SourceFile<'_>> = load
        .files
        .iter()
        .map(|(path, content)| SourceFile { path, content })
        .collect();
    let set = read_files(&sources).map_err(|e| definition::layout_failure(&e))?;
    load.ledger.lock_project(load.project)?;
    let naming = load
        .project
        .naming
        .or(set.naming_hint)
        .unwrap_or(Naming::Natural);
    let registered = load.ledger.registered(load.project)?;
    let difference = compare(load, naming, &set.migrations, &registered)?;
    load.ledger.set_found_naming(load.project, naming)?;
    apply(load, &difference)?;
    tell(&difference);
    Ok(changes(load, difference))
}

fn compare(
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
        let sum = checksum(definition)?;
        let known = by_name.get(definition.name.as_str());
        let key = match known {
            Some(known) if known.checksum == sum && known.applied => {
                keep(&mut difference, known);
                known.sort_key.clone()
            }
            Some(known) if known.applied => return Err(changed_in_file(definition, known)),
            _ => {
                let unchanged = known
                    .filter(|known| known.checksum == sum && !has_directives(definition, known));
                match (known, unchanged) {
                    (_, Some(known)) => {
                        keep(&mut difference, known);
                        known.sort_key.clone()
                    }
                    (known, None) => {
                        let new = definition::checked(load.project, naming, definition, sum)?;
                        let key = new.sort_key.clone();
                        let same = known.is_some_and(|k| {
                            k.checksum == new.checksum && k.attributes == new.attributes
                        });
                        match (known, same) {
                            (Some(known), true) => keep(&mut difference, known),
                            (Some(_), false) => difference.replace.push(new),
                            (None, _) => difference.add.push(new),
                        }
                        key
                    }
                }
            }
        };
        newest = newest.max(key);
    }
    let held: HashSet<&str> = set
        .iter()
        .map(|definition| definition.name.as_str())
        .collect();
    absent(load, registered, &held, &newest, &mut difference)?;
    Ok(difference)
}

/// Whether the directives of a pending migration have to be looked at: comments do not
/// count in the checksum, directives do in what runs.
fn has_directives(definition: &Definition, known: &Registered) -> bool {
    definition.directives != Default::default()
        || definition.down_transaction.is_some()
        || definition.down_lock_timeout_ms.is_some()
        || !known.attributes.requires.is_empty()
        || known.attributes.pairs_with.is_some()
        || known.attributes.up_lock_timeout.is_some()
        || known.attributes.down_lock_timeout.is_some()
        || !known.attributes.up_transaction
        || !known.attributes.down_transaction
}

fn keep(difference: &mut Difference, known: &Registered) {
    difference.unchanged += 1;
    if known.missing || !known.loaded {
        difference.found_again.push(known.name.clone());
    }
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
        "another service's files? pass project => its own; on_missing => 'allow' keeps them, \
         'revert' takes them down with their stored down",
    )
    .detail(difference.missing.join("\n")))
}

fn apply(load: &Load<'_>, difference: &Difference) -> Result<()> {
    let (ledger, project) = (load.ledger, load.project);
    if load.on_missing == OnMissing::Revert && !difference.missing.is_empty() {
        revert(load, &difference.missing)?;
    }
    if !difference.add.is_empty() {
        ledger.add_migrations(project, &difference.add, true)?;
    }
    if !difference.replace.is_empty() {
        ledger.replace_migrations(project, &difference.replace, true)?;
    }
    if !difference.prune.is_empty() {
        ledger.remove_migrations(project, &difference.prune)?;
    }
    let mut missing = difference.ahead.clone();
    if load.on_missing == OnMissing::Allow {
        missing.extend(difference.missing.iter().cloned());
    }
    if !missing.is_empty() || !difference.found_again.is_empty() {
        ledger.mark_loaded(project, &difference.found_again, &missing)?;
    }
    Ok(())
}

/// Takes the missing ones down, in this transaction; they must be the most recently applied.
fn revert(load: &Load<'_>, missing: &[String]) -> Result<()> {
    let steps = u32::try_from(missing.len()).unwrap_or(u32::MAX);
    let request = Request::Down { steps };
    let newest = load
        .ledger
        .gather(load.project, &request, load.project.ordering)?
        .facts
        .applied;
    if let Some(other) = newest.iter().find(|entry| !missing.contains(&entry.name)) {
        return Err(Failure::new(
            Code::Missing,
            format!("migration \"{}\" was applied after one that is missing, so it cannot be reverted", other.name),
            "on_missing => 'allow' keeps the missing ones; CALL belay.migrate_down(steps => ...) reverts the newer ones first",
        )
        .detail(missing.join("\n")));
    }
    engine::run(&Call {
        verb: "load",
        request,
        ordering: None,
        transaction: None,
        on_contention: Some(OnContention::Fail),
        wait: None,
        reason: None,
        trust: Vec::new(),
        project: load.project.name.clone(),
        mode: Mode::Caller,
        arguments: serde_json::json!({ "on_missing": "revert" }),
    })?;
    load.ledger.remove_migrations(load.project, missing)
}

fn tell(difference: &Difference) {
    let counts = [
        (difference.add.len(), "added"),
        (difference.replace.len(), "replaced"),
        (difference.prune.len(), "pruned"),
        (difference.unchanged, "unchanged"),
    ];
    let words: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    client::notice(words.join(", "));
    if !difference.ahead.is_empty() {
        client::notice_with_hint(
            format!(
                "ahead of this set and kept: {}",
                difference.ahead.join(", ")
            ),
            "another instance of the application is newer; nothing is wrong in a rolling deployment",
        );
    }
}

fn changes(load: &Load<'_>, difference: Difference) -> Vec<Change> {
    let mut out = Vec::new();
    let mut add = |names: Vec<String>, action: &'static str, detail: Option<&str>| {
        out.extend(names.into_iter().map(|name| Change {
            name,
            action,
            detail: detail.map(str::to_owned),
        }));
    };
    let names = |new: Vec<NewMigration>| new.into_iter().map(|new| new.name).collect::<Vec<_>>();
    add(names(difference.add), "added", None);
    add(
        names(difference.replace),
        "replaced",
        Some("it was pending with another definition"),
    );
    add(
        difference.prune,
        "pruned",
        Some("it was pending and is not in this set"),
    );
    let (action, detail) = match load.on_missing {
        OnMissing::Revert => ("reverted", "it is not in this set"),
        _ => ("missing", "it is applied and not in this set"),
    };
    add(difference.missing, action, Some(detail));
    add(
        difference.ahead,
        "ahead",
        Some("it is applied and newer than this set"),
    );
    out
}
