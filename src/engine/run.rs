//! One call of a verb, from the lock to the last notice.

use std::time::Instant;

use belay_core::plan::{Direction, PlannedStep, Request};

use super::active::Active;
use super::call::{Call, Transaction};
use super::contention::Taken;
use super::contract::Contract;
use super::gate::{self, Ended, Patience};
use super::planning::{self, Planned};
use super::transactional::StepRun;
use super::{contention, late, per_migration, per_run, place, privileged, trust};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::{self, Project};
use crate::ledger::run::NewRun;
use crate::pg::extension::MemberGuard;
use crate::pg::transaction::{self, Mode};
use crate::pg::{cancel, client, lock, timeout};

/// What a run did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Migrations applied and kept.
    pub applied: i32,
    /// Migrations reverted.
    pub reverted: i32,
}

impl Tally {
    /// Counts one step.
    pub fn count(&mut self, direction: Direction) {
        match direction {
            Direction::Up => self.applied += 1,
            Direction::Down => self.reverted += 1,
        }
    }
}

/// What the parts of a run share.
pub struct Run<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The project.
    pub project: &'a Project,
    /// The call.
    pub call: &'a Call,
    /// What was planned, but for the steps, which the transactions' parts go through.
    pub planned: &'a Planned,
    /// The run's id.
    pub id: i64,
    /// What its migrations are held to.
    pub contract: &'a Contract,
}

impl<'a> Run<'a> {
    /// A step begins now.
    pub fn begin(&self, step: &'a PlannedStep) -> StepRun<'a> {
        let (project, trust) = (self.project, &self.call.trust);
        let origin = self.planned.origin_of(step, project, trust);
        let this = StepRun::new(self.ledger, project, self.id, self.call.mode, step, origin);
        this.held_to(self.contract)
    }
}

/// Runs a call.
pub fn run(call: &Call) -> Result<()> {
    let _active = Active::enter()?;
    let ledger = Ledger::open()?;
    transaction::refuse_read_only(call.mode)?;
    if call.project == project::DEFAULT && ledger.find_project(&call.project)?.is_none() {
        client::notice(
            "nothing is registered; belay.migrate_register() or belay.migrate_load() begins",
        );
        return Ok(());
    }
    let project = ledger.project(&call.project)?;
    let ordering = planning::policy(&project, call.ordering, call.reason.as_deref())?;
    gate::refuse_call(&project, call)?;
    if call.mode == Mode::Caller && call.transaction == Some(Transaction::PerMigration) {
        return Err(Failure::new(
            Code::ActiveTransaction,
            "transaction => 'per_migration' cannot commit inside the caller's transaction",
            "call it outside a transaction block (autocommit), or leave the argument out",
        ));
    }
    timeout::disarm_statement_timeout();
    let _no_transaction_timeout = timeout::WithoutTransactionTimeout::new();
    // What is asked for is planned again under the lock; without it only to see that nothing is left.
    if !(call.request == Request::LATEST && ledger.has_pending(&project)?) {
        let planned = planning::make(&ledger, &project, &call.request, ordering)?;
        if planned.plan.steps.is_empty() && planned.gathered.facts.unfinished.is_none() {
            cancel::hold(|| tell_lost(&ledger, &project, call.mode))?;
            return nothing_to_do(&ledger, &project, &planned);
        }
    }
    cancel::hold(|| through_the_gate(&ledger, &project, call, ordering))
}

/// Runs; where a post may not run now, waits without the project's lock and runs what is left.
fn through_the_gate(
    ledger: &Ledger,
    project: &Project,
    call: &Call,
    ordering: belay_core::order::Ordering,
) -> Result<()> {
    let mut patience = Patience::new();
    while let Ended::AtGate(shut) = alone(ledger, project, call, ordering)? {
        if !patience.at(ledger, project, call, *shut)? {
            break;
        }
    }
    Ok(())
}

/// Takes the project's lock, runs, and releases it on every way out.
fn alone(
    ledger: &Ledger,
    project: &Project,
    call: &Call,
    ordering: belay_core::order::Ordering,
) -> Result<Ended> {
    let is_left = || {
        let planned = planning::make(ledger, project, &call.request, ordering)?;
        Ok(!planned.plan.steps.is_empty() || planned.gathered.facts.unfinished.is_some())
    };
    if contention::take(ledger, project, call, is_left)? == Taken::NothingLeft {
        let planned = planning::make(ledger, project, &call.request, ordering)?;
        nothing_to_do(ledger, project, &planned)?;
        return Ok(Ended::Done);
    }
    contention::release_after(project, call.mode, || {
        if call.mode == Mode::Caller {
            ledger.refuse_old_snapshot(project)?;
        }
        ledger.seal()?;
        let _guard = MemberGuard::new(&ledger.installed)?;
        under_lock(ledger, project, call, ordering)
    })
}

/// A run whose session died after its last migration is told by the next call, too.
fn tell_lost(ledger: &Ledger, project: &Project, mode: Mode) -> Result<()> {
    if mode == Mode::Caller
        || !ledger.has_open_run(project)?
        || !lock::try_lock(project.id, contention::scope(mode))
    {
        return Ok(());
    }
    let result = transaction::attempt(mode, || ledger.note_lost(project));
    let result = result.and_then(|()| transaction::commit());
    lock::unlock(project.id);
    result
}

fn nothing_to_do(ledger: &Ledger, project: &Project, planned: &Planned) -> Result<()> {
    match &planned.plan.already_there {
        Some(target) => client::notice(format!("{target} is applied already: nothing to do")),
        None => client::notice(format!(
            "nothing to do, {} pending",
            ledger.count_pending(project)?
        )),
    }
    Ok(())
}

/// Plans again, now that nobody else can change anything, and runs the plan.
fn under_lock(
    ledger: &Ledger,
    project: &Project,
    call: &Call,
    ordering: belay_core::order::Ordering,
) -> Result<Ended> {
    if call.mode != Mode::Caller {
        transaction::commit()?;
    }
    let mut planned = planning::make(ledger, project, &call.request, ordering)?;
    if planned.plan.steps.is_empty() {
        planning::refuse_unfinished(&planned, project)?;
        nothing_to_do(ledger, project, &planned)?;
        return Ok(Ended::Done);
    }
    planning::refuse_obstacles(&planned.plan, project)?;
    trust::refuse_trojans(&planned, project, &call.trust)?;
    privileged::refuse(ledger, &planned, project, call)?;
    let transaction = call.transaction.unwrap_or(Transaction::PerMigration);
    planning::refuse_alone(&planned, call, transaction)?;
    if let Some(shut) = gate::before_plan(ledger, project, call, &planned.plan)? {
        return Ok(Ended::AtGate(Box::new(shut)));
    }
    let id = ledger.begin_run(
        project,
        &NewRun {
            verb: call.verb,
            ordering,
            transaction: match (call.mode, transaction) {
                (Mode::Caller, _) => "caller",
                (_, Transaction::PerMigration) => "per_migration",
                (_, Transaction::PerRun) => "per_run",
            },
            arguments: call.arguments.clone(),
            reason: call.reason.as_deref(),
            number: call.number,
        },
    )?;
    if call.mode != Mode::Caller {
        transaction::commit()?;
    }
    let steps = std::mem::take(&mut planned.plan.steps);
    let contract = Contract::of(project, &call.request);
    let run = Run {
        ledger,
        project,
        call,
        planned: &planned,
        id,
        contract: &contract,
    };
    match (call.mode, transaction) {
        (Mode::Caller, _) => per_run::in_callers_transaction(&run, &steps)?,
        (_, Transaction::PerRun) => per_run::all_or_nothing(&run, &steps)?,
        (_, Transaction::PerMigration) => return per_migration::each_by_itself(&run, steps),
    }
    Ok(Ended::Done)
}

/// Writes the failed step; committed together with the end of the run.
pub fn record_failure(this: &StepRun<'_>, failure: &Failure) {
    let Some(text) = this.progress.text.get() else {
        return;
    };
    write_down(this, || {
        this.ledger
            .record_undone(&this.attempt(text), this.place(), Some(failure))?;
        this.announce("failed");
        Ok(())
    });
}

/// Writes what is to be known of a failure. Where even that fails (a full disk), the run goes on to
/// its end: the migration's own error must reach the client, not the ledger's.
pub fn write_down(this: &StepRun<'_>, body: impl FnOnce() -> Result<()>) {
    if let Err(lost) = transaction::attempt(this.mode, body) {
        client::warning(
            format!(
                "the history could not keep that migration \"{}\" failed: {lost}",
                this.name()
            ),
            "the error below is the only record of it; mend what kept the ledger from being written, then run again",
        );
    }
}

/// The name of a good outcome.
pub fn outcome_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "applied",
        Direction::Down => "reverted",
    }
}

/// The notice of a migration that went well.
pub fn told(step: &PlannedStep, began: Instant) {
    client::notice(format!(
        "{} {} ({})",
        outcome_of(step.direction),
        step.entry.name,
        place::duration(began.elapsed())
    ));
    late::tell(step);
}

/// Ends the run's row and commits it.
pub fn finish(run: &Run<'_>, outcome: &str, tally: Tally) -> Result<()> {
    run.ledger
        .finish_run(run.id, outcome, tally.applied, tally.reverted)?;
    match run.call.mode {
        Mode::Caller => Ok(()),
        _ => transaction::commit(),
    }
}

/// The last notice.
pub fn summary(run: &Run<'_>, tally: Tally) -> Result<()> {
    let mut parts = Vec::new();
    if tally.reverted > 0 {
        parts.push(format!("{} reverted", tally.reverted));
    }
    if tally.applied > 0 || tally.reverted == 0 {
        parts.push(format!("{} applied", tally.applied));
    }
    parts.push(format!(
        "{} pending",
        run.ledger.count_pending(run.project)?
    ));
    parts.push(format!("run {}", run.id));
    client::notice(parts.join(", "));
    Ok(())
}
