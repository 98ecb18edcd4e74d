//! Tables: ordinary, partitioned and foreign.

use belay_core::snapshot::Definition;
use pgrx::pg_sys::Oid;
use serde_json::Value;

use super::reader::{definition, equal, sorted};
use super::relations::{self, Relation};
use crate::error::Result;
use crate::pg::row::{Field, Row};
use crate::pg::{catalog, class, print};

/// What defines a table.
pub fn definition_of(row: &Row, table: &Relation) -> Result<Definition> {
    let kind = row.letter(c"relkind")?;
    let is_partition: bool = row.require(c"relispartition")?;
    let parents = parents(table.id)?;
    let (partition_of, inherits) = match is_partition {
        true => (parents.into_iter().next(), Value::Null),
        false if parents.is_empty() => (None, Value::Null),
        false => (None, parents.into()),
    };
    let key = (kind == 'p').then(|| print::partition_key(table.id));
    let of_type: Oid = row.require(c"reloftype")?;
    let of_type = (of_type != Oid::INVALID).then(|| print::type_name(of_type, None));
    let (server, server_options) = match kind {
        'f' => foreign(table.id)?,
        _ => (None, Value::Null),
    };
    Ok(definition([
        ("kind", kind_word(kind).into()),
        ("persistence", persistence(row)?.into()),
        ("partition_key", key.flatten().into()),
        ("partition_of", partition_of.into()),
        (
            "partition_bound",
            print::expression(row, c"relpartbound", table.id)?.into(),
        ),
        ("inherits", inherits),
        ("row_security", row.get::<bool>(c"relrowsecurity")?.into()),
        (
            "force_row_security",
            row.get::<bool>(c"relforcerowsecurity")?.into(),
        ),
        ("options", all_options(row)?),
        (
            "access_method",
            print::access_method(row.require(c"relam")?).into(),
        ),
        (
            "replica_identity",
            replica_identity(row, table.id, kind)?.into(),
        ),
        ("of_type", of_type.into()),
        ("server", server.into()),
        ("server_options", server_options),
    ]))
}

fn kind_word(kind: char) -> &'static str {
    match kind {
        'r' => "table",
        'p' => "partitioned table",
        _ => "foreign table",
    }
}

/// Of a table or a sequence; temporary ones are in no schema that is looked at.
pub fn persistence(row: &Row) -> Result<&'static str> {
    Ok(match row.letter(c"relpersistence")? {
        'u' => "unlogged",
        _ => "permanent",
    })
}

/// What a table or index inherits from, or is a partition of, in order.
pub fn parents(child: Oid) -> Result<Vec<String>> {
    let mut parents: Vec<(i32, Option<String>)> = Vec::new();
    let keys = [equal(c"inhrelid", Field::Oid(child))];
    let (catalog, index) = (class::INHERITANCE, class::INHERITANCE_BY_CHILD);
    catalog::each(catalog, index, &keys, |row| {
        let parent = print::relation(row.require(c"inhparent")?);
        parents.push((row.require(c"inhseqno")?, parent));
        Ok(())
    })?;
    parents.sort_by_key(|(number, _)| *number);
    Ok(parents
        .into_iter()
        .filter_map(|(_, parent)| parent)
        .collect())
}

/// Those of its TOAST table, too.
fn all_options(row: &Row) -> Result<Value> {
    let mut options = relations::options(row)?;
    let (catalog, index) = (class::RELATION, class::RELATION_BY_OID);
    let toast: Oid = row.require(c"reltoastrelid")?;
    if toast != Oid::INVALID {
        let of_toast = catalog::find(catalog, index, 1, toast, relations::options);
        let of_toast = of_toast.transpose()?.unwrap_or_default();
        options.extend(of_toast.iter().map(|option| format!("toast.{option}")));
    }
    Ok(sorted(options))
}

fn replica_identity(row: &Row, table: Oid, kind: char) -> Result<Option<String>> {
    let letter = row.letter(c"relreplident")?;
    Ok(match (kind, letter) {
        ('f', _) => None,
        (_, 'd') => Some("default".to_owned()),
        (_, 'n') => Some("nothing".to_owned()),
        (_, 'f') => Some("full".to_owned()),
        _ => identifying_index(table)?.map(|index| format!("index {index}")),
    })
}

fn identifying_index(table: Oid) -> Result<Option<String>> {
    let mut found = None;
    let keys = [equal(c"indrelid", Field::Oid(table))];
    catalog::each(class::INDEX, class::INDEX_BY_TABLE, &keys, |row| {
        if row.require(c"indisreplident")? {
            found = print::relation(row.require(c"indexrelid")?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The server of a foreign table, and the table's options there.
fn foreign(table: Oid) -> Result<(Option<String>, Value)> {
    let (catalog, index) = (class::FOREIGN_TABLE, class::FOREIGN_TABLE_BY_RELATION);
    let found = catalog::find(catalog, index, 1, table, |row| {
        let options: Option<Vec<String>> = row.get(c"ftoptions")?;
        Ok::<_, crate::error::Failure>((row.require::<Oid>(c"ftserver")?, options))
    });
    let Some((server, options)) = found.transpose()? else {
        return Ok((None, Value::Null));
    };
    let (catalog, index) = (class::FOREIGN_SERVER, class::FOREIGN_SERVER_BY_OID);
    let name = catalog::find(catalog, index, 1, server, |row| row.get_name(c"srvname"));
    let name = name.transpose()?.flatten().map(|name| print::quote(&name));
    Ok((name, sorted(options.unwrap_or_default())))
}
