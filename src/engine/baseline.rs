//! A database that has a schema before it has a history: `migrate_baseline`.

use belay_core::plan::{Direction, Target, Unfinished};

use super::by_hand::{self, ByHand};
use super::planning;
use crate::error::{Code, Failure, Result};
use crate::pg::client;

/// Everything up to the target counts as applied from now on, in the caller's transaction.
pub fn baseline(by_hand: &ByHand<'_>, target: &str) -> Result<()> {
    refuse_no_migration(target)?;
    by_hand.alone(|| write_down(by_hand, target))
}

/// Nothing, and `@none`, are no migration to begin with.
fn refuse_no_migration(target: &str) -> Result<()> {
    match target.parse() {
        Ok(Target::Name(_)) => Ok(()),
        Ok(Target::None) | Err(_) => Err(Failure::new(
            Code::InvalidParameter,
            format!("target => '{target}' names no migration"),
            "pass target => the last migration whose effects are there; SELECT name FROM belay.migrate_status() lists them",
        )),
    }
}

fn write_down(by_hand: &ByHand<'_>, target: &str) -> Result<()> {
    let (ledger, project) = (by_hand.ledger, by_hand.project);
    let last = by_hand.find(target)?;
    refuse_unfinished(by_hand)?;
    let pending = ledger.pending_up_to(project, &last.sort_key)?;
    if pending.is_empty() {
        client::notice(format!(
            "everything up to {target} is applied already: nothing to do"
        ));
        return Ok(());
    }
    let run = by_hand.begin("baseline", serde_json::json!({ "target": target }))?;
    let count = pending.len();
    for (id, name, key) in pending {
        client::check_interrupts();
        let step = by_hand::planned(id, name, key, Direction::Up);
        by_hand.settle(run, &step)?;
    }
    ledger.finish_run(
        run,
        "succeeded",
        i32::try_from(count).unwrap_or(i32::MAX),
        0,
    )?;
    let counted = match count {
        1 => "1 migration counts".to_owned(),
        n => format!("{n} migrations count"),
    };
    client::notice(format!(
        "{counted} as applied up to {target}, nothing ran; {} pending, run {run}",
        ledger.count_pending(project)?
    ));
    Ok(())
}

/// Half of it may be there: to call it applied takes a word of its own.
fn refuse_unfinished(by_hand: &ByHand<'_>) -> Result<()> {
    let Some(stopped) = by_hand.ledger.stopped(by_hand.project)? else {
        return Ok(());
    };
    let unfinished = Unfinished {
        name: stopped.name,
        direction: stopped.direction,
        next_statement: u32::try_from(stopped.progress.statement).unwrap_or(1),
    };
    let mut failure = planning::not_finished(&unfinished, by_hand.project);
    failure.add_hint(&format!(
        "or say how it stands: SELECT belay.migrate_mark({}, 'applied', reason => '...'{}), or 'pending'",
        pgrx::spi::quote_literal(&unfinished.name),
        planning::project_argument(&by_hand.project.name)
    ));
    Err(failure)
}
