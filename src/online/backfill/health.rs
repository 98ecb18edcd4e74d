//! Whether the rest of the system keeps up: a backfill waits while it does not.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::guc;
use crate::online::session::Session;
use crate::pg::{client, transaction};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// When it was looked last.
pub struct Health {
    backfill: i64,
    looked: Option<Instant>,
}

impl Health {
    /// Of this backfill.
    pub fn new(backfill: i64) -> Health {
        Health {
            backfill,
            looked: None,
        }
    }

    /// Waits while a replica is behind by more than belay.replica_lag, or more than belay.unarchived_segments wait to be archived.
    pub fn wait(&mut self, session: &Session) -> Result<()> {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return Ok(());
        }
        let mut waits = false;
        loop {
            let reason = transaction::committed(session.mode, || {
                let reason = reason(session)?;
                if reason.is_some() || waits {
                    let what = reason.as_ref().map(|(what, _)| *what);
                    session.ledger.note_backfill_waits(self.backfill, what)?;
                }
                Ok(reason)
            })?;
            self.looked = Some(Instant::now());
            let Some((_, told)) = reason else {
                return Ok(());
            };
            if !waits {
                client::notice(told);
                waits = true;
            }
            transaction::attempt(session.mode, || {
                client::sleep(EVERY);
                client::boundary()
            })?;
        }
    }
}

/// What is waited for, in a word and for the notice.
fn reason(session: &Session) -> Result<Option<(&'static str, String)>> {
    let (lag_limit, segment_limit) = (guc::replica_lag(), guc::unarchived_segments());
    if lag_limit.is_none() && segment_limit.is_none() {
        return Ok(None);
    }
    let (lag, segments) = session.ledger.health()?;
    if lag_limit.is_some_and(|limit| lag > limit.as_secs_f64()) {
        let told = format!("waiting for a replica, which is {lag:.1} s behind (belay.replica_lag)");
        return Ok(Some(("replica", told)));
    }
    if segment_limit.is_some_and(|limit| segments > limit) {
        let told = format!(
            "waiting for the archiver: {segments} segments are not archived yet (belay.unarchived_segments)"
        );
        return Ok(Some(("archiver", told)));
    }
    Ok(None)
}
