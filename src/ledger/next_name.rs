//! The name under which a late migration would come last, from the registry as it is now.

use belay_core::naming::Naming;
use belay_core::plan::NextNames;
use pgrx::pg_sys::Oid;

use crate::error::Result;
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key, Order, Seen, Table};

/// For each of these names, in their order, the next that sorts after all that is registered.
pub fn next_names(schema: Oid, project: i32, late: &[String]) -> Result<Vec<Option<String>>> {
    let of_project = |column| [Key(column, Compare::Equal, Field::Int(project))];
    let naming = Table::open(schema, c"project")?.find(
        c"project_pkey",
        &of_project(c"id"),
        Order::Ascending,
        Seen::Now,
        |row: &Row| Some(row.get::<String>(c"naming")),
    )?;
    let naming: Option<Naming> = naming
        .transpose()?
        .flatten()
        .and_then(|word| word.parse().ok());
    let last = Table::open(schema, c"migration")?.find(
        c"migration_sort_key_key",
        &of_project(c"project_id"),
        Order::Descending,
        Seen::Now,
        |row: &Row| Some(row.require::<String>(c"name")),
    )?;
    Ok(match (naming, last.transpose()?) {
        (Some(naming), Some(last)) => {
            let mut names = NextNames::new(naming, &last);
            late.iter().map(|late| names.next(late)).collect()
        }
        _ => vec![None; late.len()],
    })
}
