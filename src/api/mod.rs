//! What SQL can see, one family a file; thin: arguments in, rows or errors out.
//!
//! The SQL side of each function (defaults, grants, comments) is in `sql/`.

mod background;
mod check_order;
mod column;
mod contract_query;
mod files;
mod history;
mod job;
mod load;
mod mend;
mod now;
mod online;
mod plan;
mod project;
mod register;
mod releases;
mod snapshot;
mod triggers;
mod verbs;
mod versioned;
mod wait;

use std::time::Duration;

use pgrx::datum::Interval;

use crate::error::{Code, Failure, Result};

/// An argument that may not be NULL.
fn required<T>(value: Option<T>, argument: &str) -> Result<T> {
    value.ok_or_else(|| {
        Failure::new(
            Code::InvalidParameter,
            format!("{argument} must not be null"),
            format!("pass {argument} => a value; an unset variable is not one"),
        )
    })
}

/// An argument that is one of a few words.
fn word<T: std::str::FromStr>(
    value: Option<&str>,
    argument: &str,
    words: &str,
) -> Result<Option<T>> {
    value
        .map(|given| {
            given.parse::<T>().map_err(|_| {
                Failure::new(
                    Code::InvalidParameter,
                    format!("{argument} => '{given}' is not known"),
                    format!("use {words}"),
                )
            })
        })
        .transpose()
}

/// An argument that is a number of at least 1; `what` it counts is for the error.
fn count(value: Option<i32>, argument: &str, what: &str) -> Result<Option<u32>> {
    value
        .map(|given| {
            u32::try_from(given).ok().filter(|n| *n > 0).ok_or_else(|| {
                Failure::new(
                    Code::InvalidParameter,
                    format!("{argument} => {given} is not {what}"),
                    format!("pass {argument} => 1 or more"),
                )
            })
        })
        .transpose()
}

/// How long to wait, a month counting 30 days; `instead` says how not to.
fn duration(interval: Interval, instead: &str) -> Result<Duration> {
    const DAY: i128 = 86_400_000_000;
    let micros = i128::from(interval.micros())
        + DAY * i128::from(interval.days())
        + 30 * DAY * i128::from(interval.months());
    if micros < 0 {
        return Err(Failure::new(
            Code::InvalidParameter,
            "wait must not be negative",
            format!("pass wait => '5 min', or {instead}"),
        ));
    }
    // Longer than anybody waits: an infinite interval.
    Ok(Duration::from_micros(
        u64::try_from(micros).unwrap_or(u64::MAX),
    ))
}
