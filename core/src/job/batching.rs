//! How batches of a job are cut, and what becomes of those that fail: GitLab's batched background migrations
//! (`BatchOptimizer`, `BatchedJob#split_and_retry!`, `BatchedMigration#should_stop?`).

use std::time::Duration;

/// Batches that are looked at before the size changes.
pub const LOOKED_AT: usize = 20;
/// How often a batch is tried.
pub const ATTEMPTS: u32 = 3;
/// Of the sub-batch it began with, in percent, what has to be left of it.
const LEAST_SUB_BATCH: u64 = 35;
/// Batches from which on failures count.
const COUNTED: u64 = 50;
/// The size never becomes smaller than this.
const SMALLEST: f64 = 1_000.0;

/// The size of the next batch. `durations` are those of the last batches that have succeeded, newest first.
///
/// The efficiency is duration through interval, as a moving average in which each older one weighs 0.6 of the next, rounded
/// to two digits. Between 0.90 and 0.95 nothing changes; else the size follows, at most by a fifth upwards.
#[must_use]
pub fn next_size(size: u32, max_size: u32, interval: Duration, durations: &[Duration]) -> u32 {
    let Some(newest) = durations.get(..LOOKED_AT) else {
        return size;
    };
    let interval = interval.as_secs_f64().max(0.001);
    let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
    for duration in newest {
        sum += weight * duration.as_secs_f64() / interval;
        weights += weight;
        weight *= 0.6;
    }
    let efficiency = (sum / weights * 100.0).round() / 100.0;
    if (0.90..=0.95).contains(&efficiency) {
        return size;
    }
    let factor = (0.95 / efficiency.max(0.001)).min(1.2);
    let wanted = f64::from(size) * factor;
    // Who asked for less than the smallest gets it.
    let least = SMALLEST.min(f64::from(size)).min(f64::from(max_size));
    wanted.clamp(least, f64::from(max_size)) as u32
}

/// What becomes of a batch in which a sub-batch took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTimeout {
    /// Tried again with sub-batches of so many rows.
    Shrink(u32),
    /// Cut in two halves.
    Split,
    /// Tried again as it is.
    Again,
}

/// Decides it, after so many attempts.
#[must_use]
pub fn after_timeout(
    attempts: u32,
    size: u32,
    sub_batch: u32,
    first_sub_batch: u32,
) -> AfterTimeout {
    let smaller = u32::try_from(u64::from(sub_batch) * 3 / 4)
        .unwrap_or(sub_batch)
        .max(1);
    let least = u64::from(first_sub_batch) * LEAST_SUB_BATCH / 100;
    if attempts >= ATTEMPTS {
        return match size > 1 {
            true => AfterTimeout::Split,
            false => AfterTimeout::Again,
        };
    }
    match size > sub_batch && smaller < sub_batch && u64::from(smaller) >= least {
        true => AfterTimeout::Shrink(smaller),
        false => AfterTimeout::Again,
    }
}

/// Whether so many batches have failed that the rest is not tried: at least 50 since the start, and more than half of them.
#[must_use]
pub fn is_hopeless(batches: u64, failed: u64) -> bool {
    batches >= COUNTED && failed * 2 > batches
}
