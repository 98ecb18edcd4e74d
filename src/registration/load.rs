//! A whole set of files at once: the registry is brought in line with it.

mod difference;
mod report;

use belay_core::layout::{Definition, SourceFile, read_files};
use belay_core::naming::{Naming, ReleaseName, parse_release};
use belay_core::plan::Request;

use self::difference::{Difference, compare};
use super::definition;
use crate::engine;
use crate::engine::call::{Call, Gate, OnContention, OnPrivileged};
use crate::error::{Code, Failure, Result};
use crate::jobs;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::transaction::Mode;

pub use report::Change;

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
    /// The project, locked.
    pub project: &'a Project,
    /// The files: path and content.
    pub files: &'a [(String, Vec<u8>)],
    /// See [`OnMissing`].
    pub on_missing: OnMissing,
    /// Remove pending migrations that came by a load and are not in this one.
    pub prune: bool,
}

/// Loads the set; everything or nothing.
pub fn load(load: &Load<'_>) -> Result<Vec<Change>> {
    let sources: Vec<SourceFile<'_>> = load
        .files
        .iter()
        .filter(|(path, _)| job_name(path).is_none())
        .map(|(path, content)| SourceFile { path, content })
        .collect();
    let set = read_files(&sources).map_err(|e| definition::layout_failure(&e))?;
    let naming = load
        .project
        .naming
        .or(set.naming_hint)
        .unwrap_or(Naming::Natural);
    let registered = load.ledger.registered(load.project)?;
    let difference = compare(load, naming, &set.migrations, &registered)?;
    load.ledger.set_found_naming(load.project, naming)?;
    apply(load, &difference)?;
    let jobs = jobs::register::load(
        load.ledger,
        load.project,
        &job_files(load.files),
        is_outdated(load, naming, &set.migrations)?,
    )?;
    report::tell(&difference);
    let mut changes = report::changes(load.on_missing, difference);
    changes.extend(report::job_changes(jobs));
    Ok(changes)
}

/// Whether the set is one of a release before the announced one: of an instance that is still to be replaced.
fn is_outdated(load: &Load<'_>, naming: Naming, set: &[Definition]) -> Result<bool> {
    if naming != Naming::Release {
        return Ok(false);
    }
    let releases = set
        .iter()
        .filter_map(|one| ReleaseName::parse(&one.name).ok());
    let newest = releases.map(|name| name.release).max();
    let announced = load.ledger.announced(load.project)?;
    let announced = announced.and_then(|release| parse_release(&release).ok());
    Ok(match (newest, announced) {
        (Some(newest), Some(announced)) => newest.cmp_precedence(&announced).is_lt(),
        _ => false,
    })
}

/// The name of the job that a file holds: `NAME.job.json`, in whatever folder.
fn job_name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_suffix(".job.json")?;
    (!name.is_empty()).then_some(name)
}

fn job_files(files: &[(String, Vec<u8>)]) -> Vec<(String, &[u8])> {
    let jobs = files.iter().filter_map(|(path, content)| {
        let name = job_name(path)?;
        Some((name.to_owned(), content.as_slice()))
    });
    jobs.collect()
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
        on_privileged: OnPrivileged::Apply,
        gate: Gate::Check,
        project: load.project.name.clone(),
        number: None,
        mode: Mode::Caller,
        arguments: serde_json::json!({ "on_missing": "revert" }),
    })?;
    load.ledger.remove_migrations(load.project, missing)
}
