//! What an operator does about a history that is not as it should be: `migrate_mark`,
//! `migrate_baseline`, `migrate_repair`; and what it takes upon itself: `migrate_accept_late`.

use pgrx::{pg_extern, pg_sys};

use super::{count, required, word};
use crate::engine::accept::{AcceptLate, accept_late};
use crate::engine::baseline::baseline;
use crate::engine::by_hand::ByHand;
use crate::engine::mark::{Mark, mark};
use crate::engine::repair::{Repair, repair};
use crate::error::entry;
use crate::ledger::Ledger;
use crate::pg::transaction;

#[pg_extern(sql = false)]
fn migrate_mark(
    name: Option<&str>,
    state: Option<&str>,
    statement: Option<i32>,
    reason: Option<&str>,
    project: Option<&str>,
) {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let (name, state) = (required(name, "name")?, required(state, "state")?);
        let state = required(
            word(Some(state), "state", "'applied' or 'pending'")?,
            "state",
        )?;
        let statement = count(statement, "statement", "the number of a statement")?;
        let project = ledger.project(required(project, "project")?)?;
        mark(&Mark {
            by_hand: ByHand {
                ledger: &ledger,
                project: &project,
                reason,
            },
            name,
            state,
            statement,
        })
    });
}

#[pg_extern(sql = false)]
fn migrate_baseline(target: Option<&str>, reason: Option<&str>, project: Option<&str>) {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let target = required(target, "target")?;
        let project = ledger.project(required(project, "project")?)?;
        let by_hand = ByHand {
            ledger: &ledger,
            project: &project,
            reason,
        };
        baseline(&by_hand, target)
    });
}

#[pg_extern(sql = false)]
fn migrate_accept_late(
    name: Option<&str>,
    after: Option<&str>,
    reason: Option<&str>,
    project: Option<&str>,
) {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let (name, after) = (required(name, "name")?, required(after, "after")?);
        let reason = required(reason, "reason")?;
        let project = ledger.project(required(project, "project")?)?;
        accept_late(&AcceptLate {
            by_hand: ByHand {
                ledger: &ledger,
                project: &project,
                reason: Some(reason),
            },
            name,
            after,
            reason,
        })
    });
}

#[pg_extern(sql = false)]
fn migrate_repair(dry_run: Option<bool>, project: Option<&str>, fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        repair(&Repair {
            dry_run: required(dry_run, "dry_run")?,
            project: required(project, "project")?,
            mode: transaction::mode_of(fcinfo),
        })
    });
}
