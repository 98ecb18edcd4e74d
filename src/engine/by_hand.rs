//! What an operator did by hand is told to the ledger: what `migrate_mark` and `migrate_baseline`
//! share. Nothing of a migration runs; the run and its steps say who, when and why, and all of it
//! belongs to the caller's transaction.

use belay_core::plan::{Direction, Entry, PlannedStep};

use super::active::Active;
use super::contention;
use super::planning::Origin;
use super::transactional::StepRun;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::registry::Registered;
use crate::ledger::run::NewRun;
use crate::pg::portal;
use crate::pg::transaction::{self, Mode};

/// What an operator says about a project.
#[derive(Clone, Copy)]
pub struct ByHand<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The project.
    pub project: &'a Project,
    /// Why.
    pub reason: Option<&'a str>,
}

impl<'a> ByHand<'a> {
    /// Runs `body` when nobody else changes the project; fails at once (55P03) when somebody does,
    /// and (MG012) inside of a migration, whose own run it would end.
    pub fn alone(&self, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let _active = Active::enter()?;
        transaction::refuse_read_only(Mode::Caller)?;
        contention::take_now(self.ledger, self.project, Mode::Caller)?;
        self.ledger.refuse_old_snapshot(self.project)?;
        body()
    }

    /// The migration, locked against registrations.
    pub fn find(&self, name: &str) -> Result<Registered> {
        let found = self.ledger.lock_registered(self.project, name)?;
        found.ok_or_else(|| {
            Failure::new(
                Code::Unknown,
                format!("migration \"{name}\" is not registered"),
                "SELECT name, state FROM belay.migrate_status() lists what is registered",
            )
        })
    }

    /// Its run.
    pub fn begin(&self, verb: &'static str, arguments: serde_json::Value) -> Result<i64> {
        self.ledger.begin_run(
            self.project,
            &NewRun {
                verb,
                ordering: self.project.ordering,
                transaction: "caller",
                arguments,
                reason: self.reason,
                number: None,
            },
        )
    }

    /// A step of it.
    pub fn step(&self, run: i64, step: &'a PlannedStep) -> StepRun<'a> {
        let origin = Origin::default();
        StepRun::new(self.ledger, self.project, run, Mode::Caller, step, origin)
    }

    /// The migration counts as applied, or as reverted, from now on.
    pub fn settle(&self, run: i64, step: &'a PlannedStep) -> Result<()> {
        let _memory = portal::Memory::enter();
        let this = self.step(run, step);
        let text = this.lock_text()?;
        self.ledger.record_done(&this.attempt(text), None)
    }
}

/// A step that no plan holds: its migration, and which way.
pub fn planned(id: i64, name: String, key: Vec<u8>, direction: Direction) -> PlannedStep {
    PlannedStep {
        entry: Entry {
            id,
            name,
            key,
            requires: Vec::new(),
            pair: None,
            reversible: true,
            phase: None,
            release: None,
            up_transaction: true,
            acceptance: None,
        },
        direction,
        resume_at: None,
        obstacle: None,
        late_after: None,
        rename_to: None,
    }
}
