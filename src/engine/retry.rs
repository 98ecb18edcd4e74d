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

/// How often, and after what, an attempt is made again.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts after the first.
    pub retries: i32,
    /// The limit of a wait for a lock, in milliseconds; the pauses follow it.
    pub lock_timeout: i32,
}

impl Limits {
    /// Those of the session.
    pub fn of_session() -> Limits {
        Limits {
            retries: guc::lock_retries(),
            lock_timeout: guc::lock_timeout(),
        }
    }
}

/// Makes attempts at a step until one succeeds, fails for good, or there were enough.
///
/// `attempt` leaves an open transaction in which its failure is written down, and nothing else.
pub fn until_settled(
    run: &Run<'_>,
    step: &PlannedStep,
    attempt: impl FnMut() -> Result<()>,
) -> Result<()> {
    let limits = || {
        let own = run.ledger.lock_limits(step.entry.id, step.direction)?;
        let own = own.unwrap_or_default();
        Ok(Limits {
            retries: own.retries.unwrap_or_else(guc::lock_retries),
            lock_timeout: own.timeout.unwrap_or_else(guc::lock_timeout),
        })
    };
    let between = |pause| {
        transaction::commit()?;
        transaction::attempt(run.call.mode, || {
            client::sleep(pause);
            client::boundary()?;
            contention::keep(run.project, run.call.mode)
        })
    };
    attempts(&step.entry.name, limits, between, attempt)
}

/// Makes attempts at `what` until one succeeds, fails for good, or there were enough; `between` two
/// of them pauses.
pub fn attempts<T>(
    what: &str,
    limits: impl Fn() -> Result<Limits>,
    mut between: impl FnMut(Duration) -> Result<()>,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut failed = 0;
    loop {
        let failure = match attempt() {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        failed += 1;
        if !TRANSIENT.contains(&failure.sqlstate().as_str()) {
            return Err(failure);
        }
        let Some(pause) = pause_before_next(what, limits()?, &failure, failed) else {
            return Err(failure);
        };
        between(pause)?;
    }
}

/// How long to pause before the next attempt; `None` when there is none. Tells the client.
fn pause_before_next(
    what: &str,
    limits: Limits,
    failure: &Failure,
    failed: u32,
) -> Option<Duration> {
    if i64::from(failed) > i64::from(limits.retries) {
        return None;
    }
    let timeout = Duration::from_millis(u64::try_from(limits.lock_timeout).unwrap_or(0));
    let pause = backoff::pause(timeout, failed, random());
    let said = failure.said();
    client::notice_with_detail(
        format!(
            "{what}: attempt {failed} of {} failed: {}; the next one follows in {}",
            i64::from(limits.retries) + 1,
            said.message,
            place::duration(pause),
        ),
        said.detail,
    );
    Some(pause)
}

/// From 0 to 1. The keys of std's hasher are random, so that the session's own random() is left alone.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
