//! Indexes that are built while the table is used.

mod partitioned;
mod verbs;

use std::cell::Cell;

use pgrx::pg_sys::Oid;

use super::attempts;
use super::session::Session;
use crate::engine::leftovers::run_alone;
use crate::error::{Failure, Result};
use crate::ledger::index::Existing;
use crate::pg::client;
use crate::pg::lock;
use crate::pg::parse::{Script, Statement};
use crate::pg::{transaction, twin};

pub use verbs::{add, remove};

/// How an index came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was built.
    Built,
    /// It was there, and valid.
    WasThere,
}

/// An index that is wanted.
pub struct Wanted<'a> {
    /// Its table.
    pub table: Oid,
    /// Its schema.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// A whole CREATE INDEX CONCURRENTLY.
    pub sql: &'a str,
}

/// Builds an index of that name, if there is no valid one. One that a build left INVALID goes first.
///
/// The table's lock is taken under belay.lock_timeout, again and again; the build then waits for the transactions that
/// the server has it wait for, without blocking anybody. Whether the one that is there is the one that is wanted,
/// the caller knows by its name.
pub fn ensure(session: &Session, wanted: &Wanted<'_>) -> Result<Made> {
    if find(session, wanted)?.is_some_and(|index| index.valid) {
        return Ok(Made::WasThere);
    }
    let _held = hold(session, wanted.table, wanted.name)?;
    // Under the lock nobody begins a build or ends one.
    match find(session, wanted)? {
        Some(index) if index.valid => return Ok(Made::WasThere),
        Some(index) => drop_concurrently(session, &index)?,
        None => {}
    }
    match run_alone(session.mode, wanted.sql) {
        Ok(()) => Ok(Made::Built),
        Err(failure) => {
            let place = (wanted.table, wanted.schema, wanted.name);
            Err(cleared(session, place, failure))
        }
    }
}

/// Whether an index is what a CREATE INDEX makes, by the server's own word on an empty copy of its table. Releases the locks on
/// tables that the session holds.
fn is_known(
    session: &Session,
    script: &Script,
    statement: &Statement,
    index: &Existing,
) -> Result<bool> {
    let same = attempts::undone(session, &index.table_quoted, || {
        twin::make(script, statement, &index.table_quoted)?;
        session.ledger.are_same_index(index.id, twin::INDEX)
    });
    match same {
        // Nothing is known then: a lock, a cancel, no right to make temporary tables.
        Err(failure) if ["55P03", "57014", "42501"].contains(&failure.sqlstate().as_str()) => {
            Err(failure)
        }
        // The statement itself will meet the error.
        same => Ok(same.unwrap_or(false)),
    }
}

/// Takes the lock that concurrent statements take, for the session.
pub fn hold(session: &Session, table: Oid, what: &str) -> Result<lock::HeldTable> {
    let held = Cell::new(None);
    attempts::committed(session, what, || {
        held.set(Some(lock::hold_table(table)));
        Ok(())
    })?;
    // It is there: the attempt that succeeded has set it.
    held.take().map_or_else(|| Ok(lock::hold_table(table)), Ok)
}

fn find(session: &Session, wanted: &Wanted<'_>) -> Result<Option<Existing>> {
    transaction::committed(session.mode, || {
        session.ledger.find_index(Some(wanted.schema), wanted.name)
    })
}

/// Drops an index without blocking anybody.
pub fn drop_concurrently(session: &Session, index: &Existing) -> Result<()> {
    run_alone(
        session.mode,
        &format!("DROP INDEX CONCURRENTLY {}", index.quoted),
    )
}

/// A build that failed leaves nothing; only after a cancel the next call has to clear up.
fn cleared(
    session: &Session,
    (table, schema, name): (Oid, &str, &str),
    failure: Failure,
) -> Failure {
    if failure.sqlstate() == "57014" {
        return failure;
    }
    // Under the lock nobody is building it. The build's own error matters more than what goes wrong here.
    let Ok(_held) = hold(session, table, name) else {
        return failure;
    };
    let left = transaction::committed(session.mode, || {
        session.ledger.find_index(Some(schema), name)
    });
    if let Ok(Some(left)) = left
        && !left.valid
        && left.table == table
        && drop_concurrently(session, &left).is_err()
    {
        client::notice(format!(
            "index \"{name}\" is left INVALID; the same call builds it again"
        ));
    }
    failure
}
