//! A reviewed exception: a late migration may run, `migrate_accept_late`.

use belay_core::plan::Acceptance;

use super::by_hand::ByHand;
use super::planning::project_argument;
use crate::error::{Code, Failure, Result};
use crate::ledger::registry::Registered;
use crate::pg::client;

/// One call of `migrate_accept_late`.
pub struct AcceptLate<'a> {
    /// Who says so, of what, and why.
    pub by_hand: ByHand<'a>,
    /// The late migration.
    pub name: &'a str,
    /// The applied one after which it may run.
    pub after: &'a str,
    /// Why; the same as in `by_hand`.
    pub reason: &'a str,
}

/// Writes it down, in the caller's transaction; for the project's owner.
pub fn accept_late(accept: &AcceptLate<'_>) -> Result<()> {
    let by_hand = &accept.by_hand;
    by_hand
        .project
        .refuse_strangers("accept a late migration")?;
    if accept.reason.trim().is_empty() {
        return Err(Failure::new(
            Code::InvalidParameter,
            "to accept a late migration needs a reason",
            "pass reason => '...'; it is kept in the history",
        ));
    }
    by_hand.alone(|| accept.write_down())
}

impl AcceptLate<'_> {
    fn write_down(&self) -> Result<()> {
        let ByHand {
            ledger, project, ..
        } = self.by_hand;
        let late = self.by_hand.find(self.name)?;
        let after = self.by_hand.find(self.after)?;
        self.refuse_applied(&late)?;
        let newest = ledger.newest_applied(project)?;
        let Some((newest, key)) = newest.filter(|(_, key)| late.sort_key < *key) else {
            return Err(self.not_late());
        };
        if after.sort_key != key {
            return Err(self.not_the_newest(&after, &newest));
        }
        let before = ledger.acceptances(vec![late.id])?;
        if let Some(Acceptance::Holds { by, reason }) = before.get(&late.id) {
            client::notice(format!(
                "{} is accepted already, by {by}: {reason}",
                self.name
            ));
            return Ok(());
        }
        let arguments = serde_json::json!({ "target": self.name, "after": self.after });
        let run = self.by_hand.begin("accept", arguments)?;
        ledger.record_acceptance(project, run, &late, after.id)?;
        ledger.finish_run(run, "succeeded", 0, 0)?;
        client::notice(format!(
            "{} may run after {}; the next run applies it",
            self.name, self.after
        ));
        Ok(())
    }

    fn refuse_applied(&self, late: &Registered) -> Result<()> {
        match late.applied {
            false => Ok(()),
            true => Err(Failure::new(
                Code::InvalidParameter,
                format!("migration \"{}\" is applied already", self.name),
                "SELECT name, state FROM belay.migrate_status() shows what is late",
            )),
        }
    }

    fn not_late(&self) -> Failure {
        Failure::new(
            Code::InvalidParameter,
            format!(
                "migration \"{}\" is not late: nothing that is applied sorts after it",
                self.name
            ),
            format!(
                "CALL belay.migrate_up({}) applies it",
                project_argument(&self.by_hand.project.name).trim_start_matches(", ")
            ),
        )
    }

    fn not_the_newest(&self, after: &Registered, newest: &str) -> Failure {
        let message = match after.applied {
            true => format!(
                "\"{}\" is not the last one that is applied: \"{newest}\" sorts after it",
                self.after
            ),
            false => format!(
                "\"{}\" is not applied, so that nothing can run after it",
                self.after
            ),
        };
        Failure::new(
            Code::InvalidParameter,
            message,
            format!(
                "review \"{}\" against all that is applied up to \"{newest}\", then: SELECT belay.migrate_accept_late({}, after => {}, reason => '...'{})",
                self.name,
                pgrx::spi::quote_literal(self.name),
                pgrx::spi::quote_literal(newest),
                project_argument(&self.by_hand.project.name)
            ),
        )
    }
}
