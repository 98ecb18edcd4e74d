//! How a job comes to rest before its end: it was stopped, or something went wrong.

use belay_core::job::state::State;

use super::run::Worker;
use super::verbs;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::job::Job;
use crate::ledger::job::progress::Way;
use crate::pg::{cancel, transaction};

/// What was stopped rests, or goes back.
pub fn settle(worker: &Worker<'_>, job: &Job) -> Result<()> {
    transaction::committed(worker.session.mode, || {
        let ledger = &worker.session.ledger;
        match ledger.lock_job_by_id(job.id)? {
            Some(now) if now.state == State::Stopping => settled(worker, &now),
            _ => Ok(()),
        }
    })
}

fn settled(worker: &Worker<'_>, now: &Job) -> Result<()> {
    let ledger = &worker.session.ledger;
    // The cancel that came with the stop was for the operation.
    cancel::forget();
    ledger.record_job_error(
        now.id,
        Some(now.operation),
        Way::Forward,
        &verbs::stopped(now),
    )?;
    let to = match now.with_rollback {
        true => State::RollingBack,
        false => State::Errored,
    };
    ledger.move_job(now.id, State::Stopping, to).map(drop)
}

/// Whether a worker was cancelled by nobody who stops its job: by a stop that was rolled back, or that has ended since. The
/// operation is done once more; whoever cancels that again means it.
fn is_stray(worker: &Worker<'_>, now: &Job, is_cancel: bool) -> bool {
    let this = Some(now.operation);
    is_cancel && !worker.is_finalize && worker.forgiven.replace(this) != this
}

/// Writes down what went wrong, and where the job rests or goes now. One that was told to stop is stopped instead.
pub fn fail(worker: &Worker<'_>, id: i64, way: Way, failure: Failure) -> Result<()> {
    let ledger = &worker.session.ledger;
    // Whose client has gone leaves the job to a worker.
    if failure.sqlstate() == Code::ClientGone.sqlstate() {
        return Err(failure);
    }
    let is_cancel = failure.sqlstate() == "57014" && !worker.is_limited.get();
    let by_hand = worker.is_finalize && is_cancel;
    let kept = transaction::committed(worker.session.mode, || {
        let Some(now) = ledger.lock_job_by_id(id)? else {
            return Ok(false);
        };
        match (way, now.state) {
            (Way::Forward, State::Stopping) => {
                if !is_cancel {
                    ledger.record_job_error(id, Some(now.operation), way, &failure)?;
                }
                return settled(worker, &now).map(|()| false);
            }
            (_, State::Running | State::RollingBack) if is_stray(worker, &now, is_cancel) => {
                return Ok(false);
            }
            (Way::Start, State::Starting) => {
                ledger.record_job_error(id, None, way, &failure)?;
                ledger.move_job(id, now.state, State::FailedAtStartup)?;
            }
            (Way::Forward, State::Running | State::Paused) => {
                ledger.record_job_error(id, Some(now.operation), way, &failure)?;
                ledger.move_job(id, now.state, State::Errored)?;
                if guc::jobs::auto_rollback() && !by_hand {
                    ledger.move_job(id, State::Errored, State::RollingBack)?;
                }
            }
            (Way::Rollback, State::RollingBack) => {
                ledger.record_job_error(id, Some(now.operation), way, &failure)?;
                ledger.move_job(id, now.state, State::Errored)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if kept {
        worker.failed.borrow_mut().get_or_insert(failure);
    } else {
        // Meant for what has ended otherwise meanwhile.
        cancel::forget();
    }
    Ok(())
}
