//! What becomes of a batch that has failed.

use belay_core::job::batching::{AfterTimeout, after_timeout, is_hopeless};
use belay_core::job::state::State;

use super::Through;
use crate::error::{Failure, Result};
use crate::ledger::job::batches::Batch;
use crate::ledger::job::progress::Way;
use crate::online::backfill::by_key::written_without_doubt;
use crate::online::backfill::surroundings;
use crate::pg::{settings, transaction};

/// Writes it down, with what the next attempt does otherwise; false: the job was told something else. An error is the job's.
pub fn failed(through: &Through<'_>, batch: &Batch, failure: Failure) -> Result<bool> {
    let is_timeout = failure.sqlstate() == "57014";
    if is_timeout && through.limit == 0 {
        // Somebody has cancelled it.
        return Err(failure);
    }
    let number = |value: i32| u32::try_from(value).unwrap_or(1).max(1);
    let next = match is_timeout {
        true => after_timeout(
            number(batch.attempts),
            number(batch.size),
            number(batch.sub_batch),
            number(batch.first_sub_batch),
        ),
        false => AfterTimeout::Again,
    };
    let middle = match next {
        AfterTimeout::Split => middle(through, batch.id)?,
        AfterTimeout::Shrink(_) | AfterTimeout::Again => None,
    };
    let session = through.worker.session;
    let (still, all, failures) = transaction::committed(session.mode, || {
        let ledger = &session.ledger;
        let now = ledger.lock_job_by_id(through.job.id)?;
        let way = through.pass.way;
        let still = now.is_some_and(|now| match way {
            Way::Rollback => now.state == State::RollingBack,
            _ => matches!(now.state, State::Running | State::Paused),
        });
        if !still {
            return Ok((false, 0, 0));
        }
        let sub_batch = match next {
            AfterTimeout::Shrink(rows) => i32::try_from(rows).unwrap_or(i32::MAX),
            AfterTimeout::Split | AfterTimeout::Again => batch.sub_batch,
        };
        ledger.fail_batch(
            batch.id,
            sub_batch,
            &failure.sqlstate(),
            failure.said().message,
        )?;
        if let Some(middle) = &middle {
            ledger.split_batch(batch.id, middle)?;
        }
        let (all, failures) = ledger.count_batches(through.pass)?;
        Ok((true, all, failures))
    })?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    match is_hopeless(count(all), count(failures)) {
        true => Err(through
            .unfinished(all, failures, ", so the rest is not tried")
            .detail(format!("the last one: {failure}"))),
        false => Ok(still),
    }
}

/// The key in the middle of what is left of a batch; `None`: one row, or none, is left.
fn middle(through: &Through<'_>, id: i64) -> Result<Option<Vec<String>>> {
    let session = through.worker.session;
    transaction::committed(session.mode, || {
        let Some(batch) = session
            .ledger
            .batch_in_hand(through.pass)?
            .filter(|batch| batch.id == id)
        else {
            return Ok(None);
        };
        let level = settings::open_level();
        surroundings();
        let from = batch.cursor.as_deref().or(batch.lower.as_deref());
        let size = u32::try_from(batch.size).unwrap_or(1);
        let found = through.worker.confined(|| {
            written_without_doubt(|| {
                let (left, _) = through.texts.probe(from, batch.upper.as_deref(), size)?;
                match u32::try_from(left / 2).unwrap_or(0) {
                    0 => Ok(None),
                    half => through.texts.bound(from, half),
                }
            })
        })?;
        settings::close_level(level);
        Ok(found)
    })
}
