//! What a non-transactional migration touches. Its transactions are over when it ends, so that its locks
//! and traces tell nothing: it counts as touching everything, unless all it does is to make, drop or
//! rebuild indexes concurrently.

use belay_core::footprint::Footprint;
use pgrx::pg_sys::Oid;

use crate::footprint;
use crate::pg::parse::{self, Alone, Kind, Script, Statement};

/// The footprint, as far as it is known before anything has run; `own` is the schema of the ledger.
pub(super) fn before(script: &Script, own: Oid) -> Footprint {
    let tables: Option<Vec<Oid>> = script.statements.iter().map(table_of_index).collect();
    match tables {
        Some(tables) if !tables.is_empty() => footprint::of_tables(own, &tables),
        _ => {
            let mut everything = Footprint::default();
            everything.touch_everything("runs outside a transaction");
            everything
        }
    }
}

/// The table of a concurrent index statement; `None` for any other, and where it is not there (any more).
fn table_of_index(statement: &Statement) -> Option<Oid> {
    match statement.kind {
        Kind::Alone(Alone::CreateIndex | Alone::DropIndex | Alone::Reindex) => {
            parse::table(statement)
        }
        _ => None,
    }
}
