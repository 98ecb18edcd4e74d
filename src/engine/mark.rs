//! How a single migration stands, as an operator says: `migrate_mark`.

use belay_core::plan::Direction;

use super::by_hand::{self, ByHand};
use super::stepwise;
use crate::error::{Code, Failure, Result};
use crate::ledger::registry::Registered;
use crate::ledger::unfinished::Progress;
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
    /// Who says so, of what.
    pub by_hand: ByHand<'a>,
    /// The migration.
    pub name: &'a str,
    /// How it stands.
    pub state: State,
    /// The statement at which an unfinished migration goes on, from 1.
    pub statement: Option<u32>,
}

/// Writes it down, in the caller's transaction.
pub fn mark(mark: &Mark<'_>) -> Result<()> {
    mark.by_hand.alone(|| mark.write_down())
}

fn word(state: State) -> &'static str {
    match state {
        State::Applied => "applied",
        State::Pending => "pending",
    }
}

impl Mark<'_> {
    fn write_down(&self) -> Result<()> {
        let (ledger, state) = (self.by_hand.ledger, word(self.state));
        let found = self.by_hand.find(self.name)?;
        let progress = ledger.progress(found.id)?;
        if found.applied == (self.state == State::Applied)
            && progress.is_none()
            && self.statement.is_none()
        {
            client::notice(format!("{} is {state} already", self.name));
            return Ok(());
        }
        let arguments = serde_json::json!({
            "name": self.name, "state": state, "statement": self.statement,
        });
        let run = self.by_hand.begin("mark", arguments)?;
        match (self.statement, &progress) {
            (Some(statement), Some(progress)) => {
                self.go_on_at(&found, progress, statement, run)?;
            }
            (Some(_), None) => return Err(self.not_begun()),
            (None, _) => self.settle(&found, progress.is_some(), run)?,
        }
        ledger.finish_run(run, "succeeded", 0, 0)
    }

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

    /// The migration counts as applied, or as pending, from now on.
    fn settle(&self, found: &Registered, unfinished: bool, run: i64) -> Result<()> {
        if unfinished {
            self.by_hand.ledger.end_progress(found.id)?;
        }
        let direction = match self.state {
            State::Applied => Direction::Up,
            State::Pending => Direction::Down,
        };
        if found.applied != (self.state == State::Applied) {
            let (name, key) = (found.name.clone(), found.sort_key.clone());
            let step = by_hand::planned(found.id, name, key, direction);
            self.by_hand.settle(run, &step)?;
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
        let (direction, ended) = match found.applied {
            true => (Direction::Down, "pending"),
            false => (Direction::Up, "applied"),
        };
        let (name, key) = (found.name.clone(), found.sort_key.clone());
        let step = by_hand::planned(found.id, name, key, direction);
        let this = self.by_hand.step(run, &step);
        let text = this.lock_text()?;
        let _memory = portal::Memory::enter();
        let script = this.parse(text)?;
        let before = usize::try_from(statement).unwrap_or(usize::MAX) - 1;
        let statements = script.statements.len();
        if before >= statements {
            return Err(Failure::new(
                Code::InvalidParameter,
                format!("migration \"{}\" has {statements} statements", self.name),
                format!("pass a statement of it; when all have run, mark it '{ended}' without one"),
            ));
        }
        let done: Vec<String> = (0..before)
            .map(|index| match progress.done.get(index) {
                Some(done) => done.clone(),
                None => stepwise::checksum(&script, index),
            })
            .collect();
        self.by_hand.ledger.set_progress(found.id, &done)?;
        client::notice(format!(
            "{} goes on at statement {statement} of {statements}",
            self.name
        ));
        Ok(())
    }
}
