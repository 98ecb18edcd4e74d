//! Whether the rest of the system keeps up: batches wait while it does not, and the job says for what.

use std::time::{Duration, Instant};

use super::Through;
use crate::engine::place;
use crate::error::Result;
use crate::guc;
use crate::ledger::Ledger;
use crate::pg::{client, lock, transaction};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// When it was looked last.
pub struct Throttle {
    looked: Option<Instant>,
}

impl Throttle {
    /// Nobody has looked yet.
    pub fn new() -> Throttle {
        Throttle { looked: None }
    }

    /// Waits while there is a reason to; false: the job was told something else meanwhile.
    pub fn pass(&mut self, through: &Through<'_>) -> Result<bool> {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return Ok(true);
        }
        let session = through.worker.session;
        loop {
            let waits = transaction::committed(session.mode, || {
                let reason = reason(&session.ledger, through)?;
                session
                    .ledger
                    .note_job_waits(through.job.id, reason.as_deref())?;
                Ok(reason.is_some())
            })?;
            self.looked = Some(Instant::now());
            if !waits {
                return Ok(true);
            }
            if !pause(through)? {
                return Ok(false);
            }
        }
    }
}

/// A pause of a wait; false: the job was told something else.
fn pause(through: &Through<'_>) -> Result<bool> {
    transaction::attempt(through.worker.session.mode, || {
        client::sleep(EVERY);
        client::boundary()
    })?;
    through.goes_on()
}

/// What is waited for. It names the limit, not what changes from look to look.
fn reason(ledger: &Ledger, through: &Through<'_>) -> Result<Option<String>> {
    if let Some(limit) = guc::jobs::active_sessions()
        && ledger.active_sessions()? > limit
    {
        return Ok(Some(format!(
            "more than {limit} active sessions (belay.active_sessions)"
        )));
    }
    let (lag_limit, segment_limit) = (guc::replica_lag(), guc::unarchived_segments());
    if lag_limit.is_some() || segment_limit.is_some() {
        let (lag, segments) = ledger.health()?;
        if let Some(limit) = lag_limit.filter(|limit| lag > limit.as_secs_f64()) {
            let limit = place::duration(limit);
            return Ok(Some(format!(
                "a replica, more than {limit} behind (belay.replica_lag)"
            )));
        }
        if let Some(limit) = segment_limit.filter(|limit| segments > *limit) {
            return Ok(Some(format!(
                "the archiver, more than {limit} segments behind (belay.unarchived_segments)"
            )));
        }
    }
    if let Some(limit) = guc::jobs::slot_wal()
        && let Some((slot, held)) = ledger.slot_wal()?
        && held > limit
    {
        return Ok(Some(format!(
            "replication slot {slot}, which holds back more than {limit} MB of WAL (belay.slot_wal)"
        )));
    }
    if guc::jobs::autovacuum_yields() && ledger.is_autovacuumed(through.texts.table)? {
        let table = &through.texts.quoted;
        return Ok(Some(format!(
            "autovacuum of table {table} (belay.autovacuum_yields)"
        )));
    }
    Ok(None)
}

/// A table, held against other jobs while this value lives.
pub struct HeldTable(u32);

impl Drop for HeldTable {
    fn drop(&mut self) {
        // After an error of the server's this is still the session that holds it.
        if !std::thread::panicking() {
            lock::release(lock::JOB_TABLE_CLASS, self.0);
        }
    }
}

/// Waits until no other job is at the table; `None`: the job was told something else meanwhile.
pub fn hold_table(through: &Through<'_>) -> Result<Option<HeldTable>> {
    let session = through.worker.session;
    let key = through.texts.table.to_u32();
    loop {
        let held = transaction::committed(session.mode, || {
            let held = lock::try_hold(lock::JOB_TABLE_CLASS, key);
            if !held {
                let table = &through.texts.quoted;
                let reason = format!("table {table}, which another job is at");
                let ledger = &session.ledger;
                ledger.note_job_waits(through.job.id, Some(&reason))?;
            }
            Ok(held)
        })?;
        if held {
            return Ok(Some(HeldTable(key)));
        }
        if !pause(through)? {
            return Ok(None);
        }
    }
}
