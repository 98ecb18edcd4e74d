//! What somebody asks of a job: each is one change of its state, in the caller's transaction.

use belay_core::job::state::{State, Verb, possible};
use belay_core::job::window::{self, Window};
use belay_core::job::{Definition, read};
use belay_core::naming::parse_release;
use serde_json::{Map, Value};

use super::workers;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::Ledger;
use crate::ledger::job::Job;
use crate::ledger::job::progress::Way;
use crate::ledger::project::Project;
use crate::pg::{cancel, identity, lock};

/// The job of that name, held until the transaction ends.
pub fn found(ledger: &Ledger, project: &Project, name: &str) -> Result<Job> {
    ledger.lock_job(project, name)?.ok_or_else(|| {
        Failure::new(
            Code::Unknown,
            format!("job \"{name}\" does not exist in project \"{}\"", project.name),
            "SELECT name FROM belay.job_status() lists the jobs; a load or belay.job_register() makes one",
        )
    })
}

/// A role can touch its own jobs only.
pub fn refuse_strangers(job: &Job) -> Result<()> {
    let caller = identity::current_role();
    let may = match identity::role_by_name(&job.role) {
        Some(role) => identity::has_rights_of(caller, role),
        None => identity::is_superuser_role(caller),
    };
    match may {
        true => Ok(()),
        false => Err(Failure::new(
            Code::Privilege,
            format!("job \"{}\" is one of role \"{}\"", job.name, job.role),
            format!(
                "SET ROLE {}, or ask a member of that role",
                pgrx::spi::quote_identifier(&job.role)
            ),
        )),
    }
}

/// What a job's state does not allow (MG020).
pub fn not_now(job: &Job, what: &str) -> Failure {
    let possible = match possible(job.state) {
        words if words.is_empty() => "nothing but to wait".to_owned(),
        words => words,
    };
    Failure::new(
        Code::Job,
        format!("job \"{}\" is {} and {what}", job.name, job.state),
        format!("possible now: {possible}; SELECT * FROM belay.job_status() tells more"),
    )
}

/// Asks it of a job; its new state.
pub fn steer(ledger: &Ledger, project: &Project, name: &str, verb: Verb) -> Result<State> {
    let job = found(ledger, project, name)?;
    refuse_strangers(&job)?;
    let to = after(&job, verb)?;
    if to == State::Starting {
        refuse_unable(ledger, &job)?;
    }
    make(ledger, &job, verb, to)?;
    let interrupts = matches!(verb, Verb::Stop | Verb::StopHere);
    let worker = ledger.advisory_lock_holder(lock::JOB_CLASS, job.id as u32)?;
    match worker {
        Some((pid, _)) if interrupts => {
            cancel::send(pid);
        }
        _ if to.is_active() => workers::request(ledger, &job)?,
        _ => {}
    }
    Ok(to)
}

/// The state that a verb makes of a job's.
pub fn after(job: &Job, verb: Verb) -> Result<State> {
    verb.after(job.state)
        .ok_or_else(|| not_now(job, &format!("{} is not for that", verb.word())))
}

/// Changes the state, and what belongs to the way that begins.
pub fn make(ledger: &Ledger, job: &Job, verb: Verb, to: State) -> Result<()> {
    if job.state == State::Errored && to == State::Running {
        go_on(ledger, job, verb)?;
    }
    if job.state != to {
        ledger.move_job(job.id, job.state, to)?;
    }
    if job.state == State::Paused && verb == Verb::StopHere {
        ledger.record_job_error(job.id, Some(job.operation), Way::Forward, &stopped(job))?;
    }
    ledger.hand_over_job(job.id, verb == Verb::Stop)
}

/// An operation whose rollback has begun begins at its first row again.
fn go_on(ledger: &Ledger, job: &Job, verb: Verb) -> Result<()> {
    let operation = job.operation + 1;
    if ledger.has_rollback_batches(job.id, operation)? {
        ledger.forget_batches(job.id, Some(operation))?;
    }
    match verb {
        Verb::Retry | Verb::Finalize => ledger.renew_batches(job.id),
        _ => Ok(()),
    }
}

/// The error that a stop leaves.
pub fn stopped(job: &Job) -> Failure {
    Failure::new(
        Code::Job,
        "stopped by job_stop",
        format!(
            "SELECT belay.job_resume({0}) goes on, SELECT belay.job_rollback({0}) takes back what is done",
            job.arguments()
        ),
    )
}

/// Starts a job with parameters.
pub fn start(
    ledger: &Ledger,
    project: &Project,
    name: &str,
    parameters: &Map<String, Value>,
) -> Result<State> {
    let job = found(ledger, project, name)?;
    refuse_strangers(&job)?;
    after(&job, Verb::Start)?;
    let values = definition(ledger, &job)?.parameters_for(parameters);
    let values = values.map_err(|unknown| {
        Failure::new(
            Code::InvalidParameter,
            format!("job \"{}\" has no parameter \"{unknown}\"", job.name),
            "its definition lists them: parameters => '{\"name\": {\"default\": ...}}'",
        )
    })?;
    ledger.set_job_parameters(job.id, Value::Object(values))?;
    steer(ledger, project, name, Verb::Start)
}

/// Skips a job, for a reason.
pub fn skip(ledger: &Ledger, project: &Project, name: &str, reason: &str) -> Result<State> {
    if reason.trim().is_empty() {
        return Err(Failure::new(
            Code::InvalidParameter,
            "job_skip needs a reason",
            "pass reason => '...'; it is kept in belay.job.note",
        ));
    }
    let state = steer(ledger, project, name, Verb::Skip)?;
    let job = found(ledger, project, name)?;
    let role = identity::role_name(identity::current_role());
    ledger.note_job(job.id, &format!("skipped by {role}: {reason}"))?;
    Ok(state)
}

/// The definition of a job, which was looked at when it was registered.
pub fn definition(ledger: &Ledger, job: &Job) -> Result<Definition> {
    let (json, _) = ledger.job_definition(job.id)?;
    read(json).map_err(|error| {
        Failure::new(
            Code::Internal,
            format!(
                "the definition of job \"{}\" cannot be read any more: {error}",
                job.name
            ),
            "register it again",
        )
    })
}

/// What a worker would fail at before it begins.
fn refuse_unable(ledger: &Ledger, job: &Job) -> Result<()> {
    if let Some(reason) = ledger.keeps_worker_out(&job.session_role, &job.role)? {
        let hint = "mend that, or register the job again as another role";
        return Err(Failure::new(Code::Privilege, reason, hint));
    }
    // What is missing says so at its start, whatever its window.
    match job.missing {
        true => Ok(()),
        false => refuse_shut(ledger, job),
    }
}

/// Refuses (MG020) a job whose window is not open.
pub fn refuse_shut(ledger: &Ledger, job: &Job) -> Result<()> {
    if guc::jobs::ignores_windows(&job.project) {
        return Ok(());
    }
    let announced = ledger.announced_for_job(job)?;
    let version = |text: &Option<String>| text.as_deref().and_then(|text| parse_release(text).ok());
    let (min, max) = (version(&job.min_release), version(&job.max_release));
    let bounds = match (&job.min_release, &job.max_release) {
        (Some(min), Some(max)) => format!("releases {min} to {max}"),
        (Some(min), None) => format!("release {min} and later"),
        (None, Some(max)) => format!("releases up to {max}"),
        (None, None) => "every release".to_owned(),
    };
    let now = match &announced {
        Some(release) => format!("release {release} is announced"),
        None => "no release is announced".to_owned(),
    };
    let project = crate::engine::planning::project_argument(&job.project);
    let wanted = match window::judge(min.as_ref(), max.as_ref(), version(&announced).as_ref()) {
        Window::Open => return Ok(()),
        Window::Future => job.min_release.as_ref().or(job.max_release.as_ref()),
        Window::Missed => job.max_release.as_ref(),
    };
    let wanted = wanted.map_or(String::new(), pgrx::spi::quote_literal);
    Err(Failure::new(
        Code::Job,
        format!("job \"{}\" is for {bounds}, and {now}", job.name),
        format!("deploy one of them and SELECT belay.release_announce({wanted}{project})"),
    ))
}
