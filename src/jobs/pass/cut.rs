//! Which batch comes next.

use std::time::Duration;

use belay_core::job::batching::{ATTEMPTS, LOOKED_AT, next_size};

use super::Through;
use crate::error::Result;
use crate::ledger::job::batches::Batch;
use crate::online::backfill::by_key::written_without_doubt;
use crate::online::backfill::surroundings;
use crate::pg::portal::Memory;
use crate::pg::{settings, transaction};

/// The batch in hand, else a new one, and after the last of them those that have failed. `None`: there is nothing left to try.
pub fn next(through: &Through<'_>) -> Result<Option<Batch>> {
    let session = through.worker.session;
    transaction::committed(session.mode, || {
        if let Some(batch) = session.ledger.batch_in_hand(through.pass)? {
            return Ok(Some(batch));
        }
        let cut = new(through)?;
        match cut {
            Some(batch) => Ok(Some(batch)),
            None => {
                let attempts = i32::try_from(ATTEMPTS).unwrap_or(i32::MAX);
                session.ledger.take_failed_batch(through.pass, attempts)
            }
        }
    })
}

fn new(through: &Through<'_>) -> Result<Option<Batch>> {
    let (ledger, work) = (&through.worker.session.ledger, through.work);
    let (lower, size) = match ledger.last_batch(through.pass)? {
        None => (None, work.size),
        Some((None, _)) => return Ok(None),
        Some((upper, size)) => {
            let looked_at = i64::try_from(LOOKED_AT).unwrap_or(i64::MAX);
            let durations = ledger.batch_durations(through.pass, looked_at)?;
            let interval = Duration::from_millis(work.interval.into());
            let size = u32::try_from(size).unwrap_or(1).max(1);
            (upper, next_size(size, work.max_size, interval, &durations))
        }
    };
    let level = settings::open_level();
    let found = {
        let _memory = Memory::enter_within();
        surroundings();
        through.worker.confined(|| {
            written_without_doubt(|| {
                let upper = through.texts.bound(lower.as_deref(), size)?;
                let (rows, _) = match upper {
                    Some(_) => (1, None),
                    None => through.texts.probe(lower.as_deref(), None, 1)?,
                };
                Ok((upper, rows > 0))
            })
        })?
    };
    settings::close_level(level);
    let (upper, is_there) = found;
    match is_there {
        true => ledger.add_batch(
            through.pass,
            lower.as_deref(),
            upper.as_deref(),
            (size, work.sub_batch),
        ),
        false => Ok(None),
    }
}
