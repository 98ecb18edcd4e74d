//! What an operator did by hand is told to the ledger: `migrate_mark`.
//!
//! Nothing of the migration runs. The step that is written says who, when and why.

use belay_core::plan::{Direction, Entry, PlannedStep};

use super::planning::Origin;
use super::transactional::StepRun;
use super::{contention, stepwise};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::registry::Registered;
use crate::ledger::run::NewRun;
use crate::ledger::unfinished::Progress;
use crate::pg::lock::{self, Scope};
use crate::pg::transaction::{self, Mode};
use crate::pg::{client, portal};

/// What the operator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its effects are there.
    Applied,
    /// Its effects are not there; with a statement: the unfinished one goes on there.
    Pending,
}

impl std::str::FromStr for State {
    type Err = ();

    fn from_str(word: &str) -> std::result::Result<Self, ()> {
        match word {
            "applied" => Ok(State::Applied),
            "pending" => Ok(State::Pending),
            _ => Err(()),
        }
    }
}

/// One call of `migrate_mark`.
pub struct Mark<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The project.
    pub project: &'a Project,
    /// The migration.
    pub name: &'a str,
    /// How it stands.
    pub state: State,
    /// The statement at which an unfinished migration goes on, from 1.
    pub statement: Option<u32>,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Writes it down, in the caller's transaction.
pub fn mark(mark: &Mark<'_>) -> Result<()> {
    transaction::refuse_read_only(Mode::Caller)?;
    if !lock::try_lock(mark.project.id, Scope::Transaction) {
        let holder = mark.ledger.lock_holder(mark.project)?;
        return Err(contention::busy(mark.project, holder.as_ref(), None));
    }
    mark.ledger.refuse_old_snapshot(mark.project)?;
    let found = mark
        .ledger
        .lock_registered(mark.project, mark.name)?
        .ok_or_else(|| {
            Failure::new(
                Code::Unknown,
                format!("migration \"{}\" is not registered", mark.name),
                "SELECT name, state FROM belay.migrate_status() lists what is registered",
            )
        })?;
    let progress = mark.ledger.progress(found.id)?;
    if found.applied == (mark.state == State::Applied)
        && progress.is_none()
        && mark.statement.is_none()
    {
        client::notice(format!("{} is {} already", mark.name, word(mark.state)));
        return Ok(());
    }
    let run = mark.ledger.begin_run(
        mark.project,
        &NewRun {
            verb: "mark",
            ordering: mark.project.ordering,
            transaction: "caller",
            arguments: serde_json::json!({
                "name": mark.name, "state": word(mark.state), "statement": mark.statement,
            }),
            reason: mark.reason,
        },
    )?;
    match (mark.statement, &progress) {
        (Some(statement), Some(progress)) => mark.go_on_at(&found, progress, statement, run)?,
        (Some(_), None) => return Err(mark.not_begun()),
        (None, _) => mark.settle(&found, progress.is_some(), run)?,
    }
    mark.ledger.finish_run(run, "succeeded", 0, 0)
}

fn word(state: State) -> &'static str {
    match state {
        State::Applied => "applied",
        State::Pending => "pending",
    }
}

impl Mark<'_> {
    fn not_begun(&self) -> Failure {
        Failure::new(
            Code::InvalidParameter,
            format!(
                "migration \"{}\" has not begun, so it has no statement to go on with",
                self.name
            ),
            "leave statement out",
        )
    }

    fn step(&self, found: &Registered, direction: Direction) -> PlannedStep {
        PlannedStep {
            entry: Entry {
                id: found.id,
                name: found.name.clone(),
                key: found.sort_key.clone(),
                requires: Vec::new(),
                pair: None,
                reversible: true,
                phase: None,
                release: None,
            },
            direction,
            resume_at: None,
            obstacle: None,
        }
    }

    /// The migration counts as applied, or as pending, from now on.
    fn settle(&self, found: &Registered, unfinished: bool, run: i64) -> Result<()> {
        if unfinished {
            self.ledger.end_progress(found.id)?;
        }
        let direction = match self.state {
            State::Applied => Direction::Up,
            State::Pending => Direction::Down,
        };
        if found.applied != (self.state == State::Applied) {
            let step = self.step(found, direction);
            let this = StepRun::new(
                self.ledger,
                self.project,
                run,
                Mode::Caller,
                &step,
                Origin::default(),
            );
            let text = this.lock_text()?;
            self.ledger.record_done(&this.attempt(text))?;
        }
        client::notice(format!("{} is marked {}", self.name, word(self.state)));
        Ok(())
    }

    /// The unfinished migration goes on at another statement.
    fn go_on_at(
        &self,
        found: &Registered,
        progress: &Progress,
        statement: u32,
        run: i64,
    ) -> Result<()> {
        let direction = if found.applied {
            Direction::Down
        } else {
            Direction::Up
        };
        let step = self.step(found, direction);
        let this = StepRun::new(
            self.ledger,
            self.project,
            run,
            Mode::Caller,
            &step,
            Origin::default(),
        );
        let text = this.lock_text()?;
        let _memory = portal::Memory::enter();
        let script = this.parse(text)?;
        let before = usize::try_from(statement).unwrap_or(usize::MAX) - 1;
        if before >= script.statements.len() {
            return Err(Failure::new(
                Code::InvalidParameter,
                format!(
                    "migration \"{}\" has {} statements",
                    self.name,
                    script.statements.len()
                ),
                format!(
                    "pass a statement of it; when all have run, mark it '{}' without one",
                    if direction == Direction::Up {
                        "applied"
                    } else {
                        "pending"
                    }
                ),
            ));
        }
        let done: Vec<String> = (0..before)
            .map(|index| match progress.done.get(index) {
                Some(done) => done.clone(),
                None => stepwise::checksum(&script, index),
            })
            .collect();
        self.ledger.set_progress(found.id, &done)?;
        client::notice(format!(
            "{} goes on at statement {statement} of {}",
            self.name,
            script.statements.len()
        ));
        Ok(())
    }
}
