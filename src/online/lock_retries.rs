//! `CALL belay.with_lock_retries`: anybody's statements, all or nothing, by attempts under a lock timeout.

use std::cell::Cell;

use super::attempts;
use super::session::Session;
use crate::engine::place;
use crate::error::{Code, Failure, Result};
use crate::pg::parse::{self, Script};
use crate::pg::portal;

const VERB: &str = "with_lock_retries";

/// Runs the statements in one transaction, again and again while they do not get their locks in time.
pub fn with_lock_retries(session: &Session, sql: &str) -> Result<()> {
    let _memory = portal::Memory::enter_within();
    let script = parse::parse(sql)?;
    refuse_alone(&script)?;
    let at = Cell::new(0);
    let result = attempts::committed(session, VERB, || {
        for (index, statement) in script.statements.iter().enumerate() {
            at.set(index);
            attempts::run_statement(&script, statement)?;
        }
        Ok(())
    });
    result.map_err(|failure| marked(failure, sql, at.get(), script.statements.len()))
}

fn refuse_alone(script: &Script) -> Result<()> {
    let alone = script
        .statements
        .iter()
        .find(|statement| statement.is_alone());
    let Some(statement) = alone else {
        return Ok(());
    };
    Err(Failure::new(
        Code::ActiveTransaction,
        "a statement that cannot run in a transaction cannot be tried again as a whole",
        "run it by itself; CALL belay.add_concurrent_index() builds an index under belay.lock_timeout",
    )
    .detail(format!("statement: {}", script.statement_text(statement)))
    .at_line(script.line_of(statement.start)))
}

/// The failure with its statement in CONTEXT and its position in the text.
fn marked(mut failure: Failure, sql: &str, index: usize, statements: usize) -> Failure {
    failure.add_context(&format!(
        "belay.{VERB}, statement {} of {statements}",
        index + 1
    ));
    if let Failure::Server(error) = &mut failure {
        let position = std::mem::take(&mut error.cursor_position);
        place::quote_position(error, position, sql);
    }
    failure
}
