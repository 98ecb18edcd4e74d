//! A job in the session of whoever cannot go on without it.

use belay_core::job::state::{State, Verb};

use super::run::{refuse_others, through};
use super::verbs;
use crate::error::Result;
use crate::ledger::project::Project;
use crate::online::Session;
use crate::pg::{cancel, client, lock, transaction};

/// Runs what is left of a job in the caller's session.
pub fn finalize(session: &Session, project: &Project, name: &str) -> Result<()> {
    session.refuse_procedural("job_finalize")?;
    let ledger = &session.ledger;
    let job = transaction::committed(session.mode, || verbs::found(ledger, project, name))?;
    refuse_others(&job)?;
    if job.state == State::Completed {
        client::notice(format!(
            "job \"{name}\" is completed already: nothing to do"
        ));
        return Ok(());
    }
    let what = format!("job \"{name}\" has a worker");
    let failed = session.alone_at(lock::JOB_CLASS, job.id as u32, &what, || {
        transaction::committed(session.mode, || begin_here(session, project, name))?;
        cancel::hold(|| through(session, job.id, true))
    })?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    let job = transaction::committed(session.mode, || verbs::found(ledger, project, name))?;
    match job.state {
        State::Completed => {
            client::notice(format!("job \"{name}\" is completed"));
            Ok(())
        }
        _ => Err(verbs::not_now(
            &job,
            "not completed: somebody has steered it meanwhile",
        )),
    }
}

/// As the verb would that fits its state, but for the worker.
fn begin_here(session: &Session, project: &Project, name: &str) -> Result<()> {
    let ledger = &session.ledger;
    let job = verbs::found(ledger, project, name)?;
    let to = verbs::after(&job, Verb::Finalize)?;
    if to == State::Starting && job.state != to {
        ledger.set_default_parameters(job.id)?;
    }
    match job.state == to {
        true => Ok(()),
        false => verbs::make(ledger, &job, Verb::Finalize, to),
    }
}
