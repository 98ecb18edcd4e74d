//! What happened, kept short: `history_prune`. Reading it is SQL's.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_extern;

use super::required;
use crate::engine::prune::prune;
use crate::error::{Result, entry};
use crate::ledger::Ledger;
use crate::ledger::project;

#[pg_extern(sql = false)]
fn history_prune(before: Option<TimestampWithTimeZone>, project: Option<&str>) -> i32 {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let (before, project) = (required(before, "before")?, required(project, "project")?);
        pruned(&ledger, before, project)
    })
}

fn pruned(ledger: &Ledger, before: TimestampWithTimeZone, name: &str) -> Result<i32> {
    if name == project::DEFAULT && ledger.find_project(name)?.is_none() {
        return Ok(0);
    }
    let steps = prune(ledger, &ledger.project(name)?, before)?;
    Ok(i32::try_from(steps).unwrap_or(i32::MAX))
}
