//! How a migration stands now, and what it could be called: for functions of the SQL side that have to look past their query's snapshot.

use pgrx::pg_extern;

use super::required;
use crate::error::entry;
use crate::ledger::Ledger;
use crate::ledger::next_name;

#[pg_extern(sql = false)]
fn is_unfinished(migration_id: Option<i64>) -> bool {
    entry(|| Ledger::open()?.is_unfinished(required(migration_id, "migration_id")?))
}

#[pg_extern(sql = false)]
fn is_pending(migration_id: Option<i64>) -> bool {
    entry(|| Ledger::open()?.is_pending(required(migration_id, "migration_id")?))
}

#[pg_extern(sql = false)]
fn next_names(
    project_id: Option<i32>,
    late: Option<Vec<Option<String>>>,
) -> Option<Vec<Option<String>>> {
    entry(|| {
        let (Some(project), Some(late)) = (project_id, late) else {
            return Ok(None);
        };
        let late: Vec<String> = late.into_iter().map(Option::unwrap_or_default).collect();
        let schema = Ledger::open()?.installed.schema;
        next_name::next_names(schema, project, &late).map(Some)
    })
}
