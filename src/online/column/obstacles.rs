//! What makes a column one that cannot be changed online: refused up front, all of it at once.

use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::table_column::Relation;

/// What is in the way of a column, a line each; `copy_type` is that of the other column, where it is another one.
pub fn refuse(
    ledger: &Ledger,
    table: &Relation,
    column: &str,
    copy_type: Option<&str>,
) -> Result<()> {
    if ledger.hides_rows(table.id)? {
        return Err(Failure::new(
            Code::Privilege,
            format!("row security hides rows of table {} from you", table.quoted),
            "SET ROLE to a role that bypasses it: rows that are not seen would not be filled",
        ));
    }
    let pairs = ledger.column_changes(table.id)?;
    let pairs = pairs.into_iter().filter_map(|change| change.pair);
    let others: Vec<String> = pairs.map(|pair| pair.source).collect();
    let mut found = ledger.column_obstacles(table.id, column, &others)?;
    let of_column = ledger.column_type(table.id, column)?;
    let copy_type = copy_type
        .map(str::to_owned)
        .or(of_column)
        .unwrap_or_default();
    if ledger.is_constrained_domain(&copy_type)? {
        found.push(format!(
            "domain {copy_type} has constraints: adding a column of it would write every row again under a lock; use its base type and a check"
        ));
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::NotSupported,
        format!(
            "column \"{column}\" of table {} cannot be changed while it is used: what belongs to it cannot be carried over",
            table.quoted
        ),
        "take out of the way what is listed, and make it again for the new column when both are there",
    )
    .detail(found.join("\n")))
}
