//! All migrations of a run in one transaction: Belay's own, or the caller's.

use std::time::Instant;

use belay_core::plan::PlannedStep;

use super::gate;
use super::run::{self, Run, Tally};
use super::transactional::StepRun;
use crate::error::{Failure, Result};
use crate::pg::{client, error, portal, transaction};

/// `transaction => 'per_run'`: either every step is kept or none.
pub fn all_or_nothing(run: &Run<'_>, plan: &[PlannedStep]) -> Result<()> {
    let mut tally = Tally::default();
    let mut steps: Vec<StepRun<'_>> = Vec::new();
    let result = transaction::committed(run.call.mode, || {
        run_steps(run, plan, &mut steps, &mut tally)?;
        run.ledger
            .finish_run(run.id, "succeeded", tally.applied, tally.reverted)
    });
    match result {
        Ok(()) => run::summary(run, tally),
        Err(failure) => Err(record(run, &steps, failure)?),
    }
}

/// The failed step and those that it took with it, in the history.
fn record(run: &Run<'_>, steps: &[StepRun<'_>], failure: Failure) -> Result<Failure> {
    let Some((last, before)) = steps.split_last() else {
        run::finish(run, "failed", Tally::default())?;
        return Ok(failure);
    };
    let failure = last.marked(failure, true);
    run::write_down(last, || {
        for step in before {
            if let Some(text) = step.progress.text.get() {
                run.ledger
                    .record_undone(&step.attempt(text), Default::default(), None)?;
            }
        }
        Ok(())
    });
    run::record_failure(last, &failure);
    run::finish(run, "failed", Tally::default())?;
    if !before.is_empty() {
        client::notice(match before.len() {
            1 => "the migration before it was rolled back with it".to_owned(),
            n => format!("the {n} migrations before it were rolled back with it"),
        });
    }
    Ok(failure)
}

/// Inside the caller's transaction: the caller commits, and a failure cannot be recorded.
pub fn in_callers_transaction(run: &Run<'_>, plan: &[PlannedStep]) -> Result<()> {
    let mut tally = Tally::default();
    let mut steps: Vec<StepRun<'_>> = Vec::new();
    let result = error::catch(|| run_steps(run, plan, &mut steps, &mut tally));
    if let Err(failure) = result {
        let mut failure = match steps.last() {
            Some(step) => step.marked(failure, true),
            None => failure,
        };
        failure.add_hint(
            "this ran in the caller's transaction, so nothing of it is recorded; \
             with autocommit the history keeps failures",
        );
        return Err(failure);
    }
    run.ledger
        .finish_run(run.id, "succeeded", tally.applied, tally.reverted)?;
    run::summary(run, tally)?;
    if run.call.verb != "load" {
        client::notice("this is the caller's transaction: nothing is permanent until COMMIT");
    }
    Ok(())
}

fn run_steps<'a>(
    run: &Run<'a>,
    plan: &'a [PlannedStep],
    steps: &mut Vec<StepRun<'a>>,
    tally: &mut Tally,
) -> Result<()> {
    for step in plan {
        let _memory = portal::Memory::enter();
        client::boundary()?;
        let began = Instant::now();
        steps.push(run.begin(step));
        if let Some(this) = steps.last_mut() {
            this.shares_transaction = true;
            if let Some(shut) = gate::before_step(run.ledger, run.project, run.call, step)? {
                return Err(shut.failure(run.project));
            }
            this.run_in_transaction()?;
            this.announce(run::outcome_of(step.direction));
            this.progress.forget_sql();
        }
        transaction::advance();
        tally.count(step.direction);
        run::told(step, began);
    }
    Ok(())
}
