//! Jobs come and go: one by one, or with the files of a load.

use belay_core::job::{self, Definition};
use serde_json::Value;

use super::{check, graph, verbs, workers};
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::Ledger;
use crate::ledger::job::Job;
use crate::ledger::project::Project;
use crate::pg::identity;

/// The most characters of a name.
const LONGEST: usize = 500;

/// What a registration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Added,
    /// It had another definition.
    Replaced,
    /// Nothing.
    Unchanged,
}

/// What a load did to jobs.
#[derive(Debug)]
pub struct Loaded {
    /// Those that were added or replaced.
    pub changed: Vec<(String, Outcome)>,
    /// Those that it does not hold any more.
    pub missing: Vec<String>,
}

/// Registers a job.
pub fn register(ledger: &Ledger, project: &Project, name: &str, definition: Value) -> Result<()> {
    put(ledger, project, name, definition, false)?;
    graph::refuse_unsound(&ledger.jobs(project)?)?;
    workers::wake(ledger)
}

/// Brings the jobs that came by loads in line with the files of this one: name and content of each. A set
/// that is outdated says nothing of jobs that are there.
pub fn load(
    ledger: &Ledger,
    project: &Project,
    files: &[(String, &[u8])],
    is_outdated: bool,
) -> Result<Loaded> {
    let mut changed = Vec::new();
    for (name, content) in files {
        if is_outdated && ledger.lock_job(project, name)?.is_some() {
            continue;
        }
        let definition = serde_json::from_slice(content).map_err(|error| {
            Failure::new(
                Code::InvalidParameter,
                format!("{name}.job.json is not JSON: {error}"),
                "write {\"operations\": [...]}",
            )
        })?;
        let outcome = put(ledger, project, name, definition, true).map_err(|mut failure| {
            failure.add_context(&format!("file {name}.job.json"));
            failure
        })?;
        if outcome != Outcome::Unchanged {
            changed.push((name.clone(), outcome));
        }
    }
    let names = files.iter().map(|(name, _)| name.clone()).collect();
    let missing = match is_outdated {
        true => Vec::new(),
        false => ledger.mark_loaded_jobs(project, names)?,
    };
    if !files.is_empty() {
        graph::refuse_unsound(&ledger.jobs(project)?)?;
        workers::wake(ledger)?;
    }
    Ok(Loaded { changed, missing })
}

fn put(
    ledger: &Ledger,
    project: &Project,
    name: &str,
    definition: Value,
    loaded: bool,
) -> Result<Outcome> {
    refuse_unsound_name(name)?;
    let definition = read(name, definition)?;
    check::refuse_unsound(&definition)?;
    match ledger.lock_job(project, name)? {
        None => {
            refuse_superusers()?;
            ledger.add_job(project, name, &definition, loaded)?;
            Ok(Outcome::Added)
        }
        Some(old) if old.checksum == definition.checksum() => Ok(Outcome::Unchanged),
        Some(old) => {
            refuse_superusers()?;
            verbs::refuse_strangers(&old)?;
            refuse_begun(&old)?;
            ledger.replace_job(old.id, &definition, loaded || old.loaded)?;
            Ok(Outcome::Replaced)
        }
    }
}

fn read(name: &str, definition: Value) -> Result<Definition> {
    job::read(definition).map_err(|error| {
        Failure::new(
            Code::InvalidParameter,
            format!("job \"{name}\": {error}"),
            error.hint,
        )
    })
}

fn refuse_unsound_name(name: &str) -> Result<()> {
    let sound = !name.trim().is_empty()
        && name.chars().count() <= LONGEST
        && !name.chars().any(char::is_control);
    match sound {
        true => Ok(()),
        false => Err(Failure::new(
            Code::InvalidParameter,
            format!(
                "the name of a job is empty, has more than {LONGEST} characters, or control characters"
            ),
            "name it as a file would be named: lower_email",
        )),
    }
}

fn refuse_superusers() -> Result<()> {
    let (role, session) = (identity::current_role(), identity::session_role());
    let above = [session, role]
        .into_iter()
        .find(|role| identity::is_superuser_role(*role));
    match above {
        Some(role) if !guc::jobs::allow_superuser() => Err(Failure::new(
            Code::Privilege,
            format!(
                "\"{}\" is a superuser, and a job runs with the rights of who registers it",
                identity::role_name(role)
            ),
            "connect as an ordinary role that may log in, and register it again; or SET belay.allow_superuser_jobs = on",
        )),
        _ => Ok(()),
    }
}

fn refuse_begun(old: &Job) -> Result<()> {
    match old.state.is_at_rest() {
        true => Ok(()),
        false => Err(Failure::new(
            Code::Changed,
            format!(
                "job \"{}\" is {}, and its definition differs",
                old.name, old.state
            ),
            "register the change as another job; what has not begun or is rolled back may change",
        )
        .detail(format!("registered with checksum {}", old.checksum))),
    }
}

/// Takes a job out; the state that it was in.
pub fn unregister(ledger: &Ledger, project: &Project, name: &str) -> Result<&'static str> {
    let job = verbs::found(ledger, project, name)?;
    verbs::refuse_strangers(&job)?;
    if job.state.is_active() || job.state == belay_core::job::state::State::Paused {
        return Err(verbs::not_now(&job, "cannot be taken out"));
    }
    let jobs = ledger.jobs(project)?;
    let child = jobs
        .iter()
        .find(|other| other.depends_on.iter().any(|parent| parent == name));
    if let Some(child) = child {
        return Err(Failure::new(
            Code::Job,
            format!("job \"{}\" depends on \"{name}\"", child.name),
            format!("SELECT belay.job_unregister({}) first", child.arguments()),
        ));
    }
    ledger.remove_job(job.id)?;
    Ok(job.state.word())
}
