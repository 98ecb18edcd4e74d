//! Attempts that may simply be made again: a lock that was not to be had in time, a deadlock, a
//! serialization failure. The one place where Belay retries.
//!
//! A cancel that meets the lock's timeout is taken for it by the server (ProcessInterrupts,
//! postgres.c), and then the next attempt follows: whoever is not heard has to ask again.
//!
//! Each attempt is a step of the history. Between two of them the session holds the project's lock
//! and nothing else, so that whoever queued up behind it gets in.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use belay_core::backoff;
use belay_core::plan::PlannedStep;

use super::run::Run;
use super::{contention, place};
use crate::error::{Failure, Result};
use crate::guc;
use crate::pg::{client, transaction};

/// lock_not_available, deadlock_detected, serialization_failure.
const TRANSIENT: [&str; 3] = ["55P03", "40P01", "40001"];

/// Makes attempts at a step until one succeeds, fails for good, or there were enough.
///
/// `attempt` leaves an open transaction in which its failure is written down, and nothing else.
pub fn until_settled(
    run: &Run<'_>,
    step: &PlannedStep,
    mut attempt: impl FnMut() -> Result<()>,
) -> Result<()> {
    let mut failed = 0;
    loop {
        let Err(failure) = attempt() else {
            return Ok(());
        };
        failed += 1;
        let Some(pause) = pause_before_next(run, step, &failure, failed)? else {
            return Err(failure);
        };
        transaction::commit()?;
        transaction::attempt(run.call.mode, || {
            client::sleep(pause);
            client::boundary()?;
            contention::keep(run.project, run.call.mode)
        })?;
    }
}

/// How long to pause before the next attempt; `None` when there is none. Tells the client.
fn pause_before_next(
    run: &Run<'_>,
    step: &PlannedStep,
    failure: &Failure,
    failed: u32,
) -> Result<Option<Duration>> {
    if !TRANSIENT.contains(&failure.sqlstate().as_str()) {
        return Ok(None);
    }
    let limits = run
        .ledger
        .lock_limits(step.entry.id, step.direction)?
        .unwrap_or_default();
    let retries = limits.retries.unwrap_or_else(guc::lock_retries);
    if i64::from(failed) > i64::from(retries) {
        return Ok(None);
    }
    let timeout = limits.timeout.unwrap_or_else(guc::lock_timeout);
    let timeout = Duration::from_millis(u64::try_from(timeout).unwrap_or(0));
    let pause = backoff::pause(timeout, failed, random());
    let said = failure.said();
    client::notice_with_detail(
        format!(
            "{}: attempt {failed} of {} failed: {}; the next one follows in {}",
            step.entry.name,
            i64::from(retries) + 1,
            said.message,
            place::duration(pause),
        ),
        said.detail,
    );
    Ok(Some(pause))
}

/// From 0 to 1. The keys of std's hasher are random, so that the session's own random() is left alone.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
