//! Each migration of a run in a transaction of its own, together with its ledger rows.

use std::time::Instant;

use belay_core::plan::PlannedStep;

use super::gate::{self, Ended, Shut};
use super::run::{Run, Tally, finish, outcome_of, record_failure, summary, told};
use super::{contention, retry, stepwise};
use crate::error::Result;
use crate::pg::{client, portal, transaction};

/// Runs what is planned; what went well before a failure stays.
///
/// A post that may not run any more ends the run there, where the call says so.
pub fn each_by_itself(run: &Run<'_>, mut steps: Vec<PlannedStep>) -> Result<Ended> {
    let mut tally = Tally::default();
    // A step that has run is let go: the caches of the server grow while the plan shrinks.
    steps.reverse();
    while let Some(step) = steps.pop() {
        if steps.capacity() > 2 * steps.len() {
            steps.shrink_to_fit();
        }
        let result = transaction::attempt(run.call.mode, || {
            client::boundary()?;
            contention::keep(run.project, run.call.mode)?;
            gate::before_step(run.ledger, run.project, run.call, &step)
        });
        let result = match result {
            Ok(Some(shut)) if gate::may_stop_halfway(run.call) => return halfway(run, tally, shut),
            Ok(Some(shut)) => Err(shut.failure(run.project)),
            Ok(None) => retry::until_settled(run, &step, || one(run, &step)),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = result {
            finish(run, "failed", tally)?;
            return Err(failure);
        }
        tally.count(step.direction);
    }
    finish(run, "succeeded", tally)?;
    summary(run, tally)?;
    Ok(Ended::Done)
}

/// What has run stays; the rest is another run's.
fn halfway(run: &Run<'_>, tally: Tally, shut: Shut) -> Result<Ended> {
    finish(run, "succeeded", tally)?;
    summary(run, tally)?;
    Ok(Ended::AtGate(Box::new(shut)))
}

fn one(run: &Run<'_>, step: &PlannedStep) -> Result<()> {
    if !run.planned.is_transactional(step) {
        return stepwise::run(run, step);
    }
    let _memory = portal::Memory::enter();
    let began = Instant::now();
    let this = run.begin(step);
    let result = transaction::committed(run.call.mode, || {
        this.run_in_transaction()?;
        this.announce(outcome_of(step.direction));
        Ok(())
    });
    match result {
        Ok(()) => {
            told(step, began);
            Ok(())
        }
        Err(failure) => {
            let failure = this.marked(failure, true);
            record_failure(&this, &failure);
            Err(failure)
        }
    }
}
