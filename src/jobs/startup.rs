//! Whether a job that was started may run.

use belay_core::job::Definition;
use belay_core::job::state::State;

use super::run::Worker;
use super::{question, verbs};
use crate::error::{Code, Failure, Result};
use crate::ledger::job::Job;
use crate::pg::transaction;

/// The checks of the start, in this order.
pub fn run(worker: &Worker<'_>, job: &Job, definition: &Definition) -> Result<()> {
    let (session, ledger) = (worker.session, &worker.session.ledger);
    if !question::is_required(worker, job, definition.is_required.as_deref())? {
        return transaction::committed(session.mode, || {
            ledger.move_job(job.id, State::Starting, State::Completed)?;
            ledger.note_job(job.id, "not required: is_required says no")
        });
    }
    if job.missing {
        return Err(Failure::new(
            Code::Job,
            format!(
                "the definition of job \"{}\" is missing: the last load did not hold it",
                job.name
            ),
            "load the set with its file again, then start it",
        ));
    }
    transaction::committed(session.mode, || {
        verbs::refuse_shut(ledger, job)?;
        let unfinished = ledger.unfinished_parents(job)?;
        match unfinished.first() {
            None => Ok(()),
            Some(first) => Err(Failure::new(
                Code::Job,
                format!(
                    "job \"{}\" depends on a job that is not completed: {first}",
                    job.name
                ),
                "run what it depends on first",
            )
            .detail(unfinished.join("\n"))),
        }
    })?;
    question::check(worker, job, "precheck", definition.precheck.as_deref())?;
    question::check(
        worker,
        job,
        "healthcheck",
        definition.healthcheck.as_deref(),
    )?;
    transaction::committed(session.mode, || {
        if ledger.move_job(job.id, State::Starting, State::Running)? {
            ledger.forget_batches(job.id, None)?;
        }
        Ok(())
    })
}
