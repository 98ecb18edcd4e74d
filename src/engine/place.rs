//! Where something happened, in words: CONTEXT lines, positions, durations.

use std::time::Duration;

use crate::error::{Failure, ServerError};
use crate::ledger::step::{Attempt, Place};

/// How much SQL an error quotes at most, in bytes on each side of the position.
const EXCERPT: usize = 2_000;

/// `3 ms`, `1.2 s`, `4 min 10 s`.
pub fn duration(elapsed: Duration) -> String {
    let milliseconds = elapsed.as_millis();
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", elapsed.as_secs_f64()),
        _ => format!(
            "{} min {} s",
            elapsed.as_secs() / 60,
            elapsed.as_secs() % 60
        ),
    }
}

/// Names project, migration, statement and line in the error's CONTEXT, and points the
/// error's position into the statement rather than into the client's CALL.
pub fn mark(failure: &mut Failure, attempt: &Attempt<'_>, place: Place, sql: &str) {
    let mut line = format!(
        "migration \"{}\" of project \"{}\", {}",
        attempt.name, attempt.project.name, attempt.direction
    );
    if let Some(statement) = place.statement {
        line.push_str(&format!(
            ", statement {statement} of {}",
            attempt.statements
        ));
    }
    let line_of_error = failure
        .line()
        .map(|line| line.saturating_add(attempt.text.line - 1));
    if let Some(number) = place.line.or(line_of_error) {
        line.push_str(&format!(", line {number}"));
    }
    if let Some(file) = &attempt.text.file {
        line.push_str(&format!(" of {file}"));
    }
    failure.add_context(&line);
    point_into(failure, sql);
}

/// Points the error's position into the SQL that was run, rather than into the statement that brought it.
pub fn point_into(failure: &mut Failure, sql: &str) {
    if let Failure::Server(error) = failure {
        let position = std::mem::take(&mut error.cursor_position);
        quote_position(error, position, sql);
    }
}

/// Quotes the SQL around a position (in characters, from 1) in the error.
pub fn quote_position(error: &mut ServerError, position: i32, sql: &str) {
    if position <= 0 || error.internal_query.is_some() {
        return;
    }
    let characters = usize::try_from(position - 1).unwrap_or(0);
    let at = sql
        .char_indices()
        .nth(characters)
        .map_or(sql.len(), |(byte, _)| byte);
    let from = line_start(sql, floor(sql, at.saturating_sub(EXCERPT)));
    let to = floor(sql, (at + EXCERPT).min(sql.len()));
    let before = sql[from..at].chars().count();
    error.internal_query = Some(sql[from..to].to_owned());
    error.internal_position = i32::try_from(before + 1).unwrap_or(1);
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, mut byte: usize) -> usize {
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// The beginning of the line after a cut, or the text's own beginning.
fn line_start(text: &str, byte: usize) -> usize {
    match byte {
        0 => 0,
        _ => text[byte..].find('\n').map_or(byte, |end| byte + end + 1),
    }
}
