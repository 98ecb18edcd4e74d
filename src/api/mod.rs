//! What SQL can see, one family a file; thin: arguments in, rows or errors out.
//!
//! The SQL side of each function (defaults, grants, comments) is in `sql/`.

mod history;
mod load;
mod mend;
mod plan;
mod project;
mod register;
mod triggers;
mod verbs;

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
