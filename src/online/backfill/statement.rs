//! The texts of a batch.

use pgrx::spi::quote_identifier;

use super::Backfill;
use crate::ledger::backfill::KeyColumn;

/// The columns of a key in parentheses: `(a, b)`.
pub fn row(key: &[KeyColumn]) -> String {
    let names: Vec<String> = key
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    format!("({})", names.join(", "))
}

/// Parameters that hold the text of a key, from number `first`: `(CAST($1 AS bigint), ...)`.
pub fn values(key: &[KeyColumn], first: usize) -> String {
    let values: Vec<String> = key
        .iter()
        .zip(first..)
        .map(|(column, number)| format!("CAST(${number} AS {})", column.type_name))
        .collect();
    format!("({})", values.join(", "))
}

/// The key of the last row of a batch: the parameters are the key before it, if there is one, and how many rows to skip.
pub fn bound(table: &str, key: &[KeyColumn], after: bool) -> String {
    let names: Vec<String> = key
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    let texts: Vec<String> = names
        .iter()
        .map(|name| format!("CAST({name} AS text)"))
        .collect();
    let (lower, skipped) = match after {
        true => (
            format!(" WHERE {} > {}", row(key), values(key, 1)),
            key.len() + 1,
        ),
        false => (String::new(), 1),
    };
    format!(
        "SELECT ARRAY[{}] FROM {table}{lower} ORDER BY {} OFFSET CAST(${skipped} AS bigint) LIMIT 1",
        texts.join(", "),
        names.join(", ")
    )
}

/// The update of a batch: the parameters are the key before it and its last key, as far as there are.
pub fn update(
    backfill: &Backfill,
    table: &str,
    key: &[KeyColumn],
    after: bool,
    until: bool,
) -> String {
    let mut conditions = Vec::new();
    if after {
        conditions.push(format!("{} > {}", row(key), values(key, 1)));
    }
    if until {
        let first = if after { key.len() + 1 } else { 1 };
        conditions.push(format!("{} <= {}", row(key), values(key, first)));
    }
    conditioned(backfill, &format!("UPDATE {table}"), conditions)
}

/// The update of a range of blocks of one table: the parameters are its first tuple and the first behind it.
pub fn update_blocks(backfill: &Backfill, leaf: &str) -> String {
    let range = [
        "ctid >= CAST($1 AS pg_catalog.tid)",
        "ctid < CAST($2 AS pg_catalog.tid)",
    ];
    conditioned(
        backfill,
        &format!("UPDATE ONLY {leaf}"),
        range.map(str::to_owned).to_vec(),
    )
}

/// A line break ends whatever comment the caller's text ends with.
fn conditioned(backfill: &Backfill, update: &str, mut conditions: Vec<String>) -> String {
    if let Some(condition) = &backfill.condition {
        conditions.push(format!("({condition}\n)"));
    }
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    format!("{update} SET {}\n{conditions}", backfill.set)
}
