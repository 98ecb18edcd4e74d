//! What it takes to go on in another session: a text whose statements that ran are as they
//! were, settings run again, remains of the statement that had begun.

mod edited;

use super::Stepwise;
use crate::engine::leftovers::{self, At, Finding};
use crate::engine::transactional::StepRun;
use crate::error::{Code, Failure, Result};
use crate::ledger::unfinished::Progress;
use crate::pg::client;
use crate::pg::parse::{Kind, Script};

pub use edited::{checksum, refuse_edited};

/// A resumed run is another session: what a statement left in the first one is not there.
pub(super) fn refuse_session_state(this: &StepRun<'_>, script: &Script) -> Result<()> {
    let last_alone = script
        .statements
        .iter()
        .rposition(|s| matches!(s.kind, Kind::Alone(_)));
    let offender = script
        .statements
        .iter()
        .enumerate()
        .find_map(|(i, s)| match s.kind {
            Kind::SessionState(what) if last_alone.is_some_and(|last| i < last) => {
                Some((i, s, what))
            }
            _ => None,
        });
    let Some((index, statement, what)) = offender else {
        return Ok(());
    };
    this.progress.at.set(Some((index, statement.start)));
    Err(Failure::new(
        Code::Statement,
        format!("{what} may not stand before a statement that commits by itself"),
        "a resumed run would lack it: put it into a migration of its own, or use an ordinary table",
    ))
}

impl Stepwise<'_> {
    /// Says where it goes on, looks after what the last session left, runs the settings
    /// again. Returns the statement to go on with, from 0.
    pub(super) fn resume(&self, progress: &Progress) -> Result<usize> {
        let mut next = usize::try_from(progress.statement - 1).unwrap_or(0);
        let mut told = format!(
            "{}: resuming at statement {} of {}",
            self.this.name(),
            progress.statement,
            self.script.statements.len()
        );
        for (index, statement) in self.script.statements.iter().enumerate().take(next) {
            if statement.kind == Kind::Setting {
                self.take_in_hand(index);
                self.in_transaction(|| self.surroundings.run_one(self.script, index, false))?;
            }
        }
        if progress.started {
            self.take_in_hand(next);
            let finding = self.cleared(progress)?;
            told.push_str(&finding.told());
            client::notice(told);
            if matches!(finding, Finding::Done(_)) || finding.completes() {
                self.in_transaction(|| self.note_done(next))?;
                next += 1;
            }
        } else {
            client::notice(told);
        }
        Ok(next)
    }

    /// What was found of the statement that had begun, after clearing it away.
    fn cleared(&self, progress: &Progress) -> Result<Finding> {
        let place = At {
            project: &self.this.project.name,
            migration: self.this.name(),
            direction: self.this.step.direction,
            statement: progress.statement,
            statements: self.this.progress.statements.get(),
        };
        loop {
            let finding = leftovers::examine(progress.leaves.as_ref(), &place)?;
            if finding.clear(self.this.mode)? {
                return Ok(finding);
            }
        }
    }
}
