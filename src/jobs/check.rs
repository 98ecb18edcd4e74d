//! The SQL of a definition, as far as it can be looked at without running it.

use belay_core::job::{Action, Batch, Definition, Operation, Work};
use belay_core::sql::{LexError, tokens};

use crate::engine::place;
use crate::error::{Code, Failure, Result};
use crate::pg::error;
use crate::pg::parse::{self, Script, update};
use crate::pg::portal::Memory;

/// Refuses what the grammar does not know (42601), what migrations may not hold either (MG010), and a batch whose parts are
/// more than they should be (22023).
pub fn refuse_unsound(definition: &Definition) -> Result<()> {
    let _memory = Memory::enter_within();
    for (number, operation) in definition.operations.iter().enumerate() {
        let place = format!("operations[{number}]");
        at(&place, || check_operation(operation))?;
    }
    let queries = [
        ("precheck", &definition.precheck),
        ("healthcheck", &definition.healthcheck),
        ("is_required", &definition.is_required),
        ("progress", &definition.progress),
    ];
    for (name, query) in queries {
        if let Some(query) = query {
            at(name, || check_query(query))?;
        }
    }
    Ok(())
}

fn at<T>(place: &str, check: impl FnOnce() -> Result<T>) -> Result<T> {
    error::catch(check).map_err(|mut failure| {
        failure.add_context(&format!("{place} of the definition"));
        // What is left points into a text around it.
        if let Failure::Server(error) = &mut failure {
            error.cursor_position = 0;
        }
        failure
    })
}

fn check_operation(operation: &Operation) -> Result<()> {
    let works = [Some(&operation.work), operation.rollback.as_ref()];
    for work in works.into_iter().flatten() {
        match work {
            Work::Sql(sql) => check_sql(sql)?,
            Work::Batch(batch) => check_batch(batch)?,
        }
    }
    Ok(())
}

/// Parses it, where it is SQL and nothing for psql.
fn parsed(sql: &str) -> Result<Script> {
    for token in tokens(sql) {
        if let Err(error @ LexError::MetaCommand { .. }) = token {
            return Err(Failure::new(
                Code::Statement,
                error.to_string(),
                error.hint(),
            ));
        }
    }
    error::catch(|| parse::parse(sql)).map_err(|mut failure| {
        place::point_into(&mut failure, sql);
        failure
    })
}

fn check_sql(sql: &str) -> Result<()> {
    let script = parsed(sql)?;
    match script.needs_no_transaction() && script.statements.len() > 1 {
        true => Err(Failure::new(
            Code::Statement,
            "a statement that commits by itself has to be the only one of its operation",
            "make an operation of each: {\"sql\": \"CREATE INDEX CONCURRENTLY ...\"}",
        )),
        false => Ok(()),
    }
}

fn check_batch(batch: &Batch) -> Result<()> {
    match &batch.action {
        Action::Set(set) => {
            update::assigned_columns(set)?;
        }
        Action::Select(expression) => update::check_condition(expression)?,
        Action::Procedure(_) => {}
    }
    match &batch.condition {
        Some(condition) => update::check_condition(condition),
        None => Ok(()),
    }
}

fn check_query(query: &str) -> Result<()> {
    match parsed(query)?.statements.len() {
        1 => Ok(()),
        _ => Err(Failure::new(
            Code::InvalidParameter,
            "is not one query",
            "write one SELECT that returns a row",
        )),
    }
}
