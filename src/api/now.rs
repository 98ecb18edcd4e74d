//! How a migration stands now: for functions of the SQL side that have to look past their query's snapshot.

use pgrx::pg_extern;

use super::required;
use crate::error::entry;
use crate::ledger::Ledger;

#[pg_extern(sql = false)]
fn is_unfinished(migration_id: Option<i64>) -> bool {
    entry(|| Ledger::open()?.is_unfinished(required(migration_id, "migration_id")?))
}

#[pg_extern(sql = false)]
fn is_pending(migration_id: Option<i64>) -> bool {
    entry(|| Ledger::open()?.is_pending(required(migration_id, "migration_id")?))
}
