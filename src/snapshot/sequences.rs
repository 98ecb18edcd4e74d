//! Sequences, but for those of identity columns, and what an identity column says of its own.

use std::ffi::CStr;

use belay_core::snapshot::Definition;
use pgrx::pg_sys::Oid;
use serde_json::Value;

use super::reader::{Reader, definition, depends, equal};
use super::tables::persistence;
use crate::error::Result;
use crate::pg::row::{Field, Row};
use crate::pg::{catalog, class, print};

/// A row of pg_sequence.
struct Sequence {
    of_type: Oid,
    start: i64,
    increment: i64,
    minimum: i64,
    maximum: i64,
    cache: i64,
    cycle: bool,
}

fn read(id: Oid) -> Result<Option<Sequence>> {
    let (catalog, index) = (class::SEQUENCE, class::SEQUENCE_BY_RELATION);
    catalog::find(catalog, index, 1, id, |row| {
        let number = |column: &CStr| row.require::<i64>(column);
        Ok(Sequence {
            of_type: row.require(c"seqtypid")?,
            start: number(c"seqstart")?,
            increment: number(c"seqincrement")?,
            minimum: number(c"seqmin")?,
            maximum: number(c"seqmax")?,
            cache: number(c"seqcache")?,
            cycle: row.require(c"seqcycle")?,
        })
    })
    .transpose()
}

/// What defines a sequence; `None` for one that belongs to an identity column.
pub fn definition_of(reader: &Reader, row: &Row, id: Oid) -> Result<Option<Definition>> {
    let of_identity = depends(class::RELATION, id, 'i')?;
    let Some(sequence) = read(id)?.filter(|_| !of_identity) else {
        return Ok(None);
    };
    Ok(Some(definition([
        ("type", print::type_name(sequence.of_type, None).into()),
        ("start", sequence.start.into()),
        ("increment", sequence.increment.into()),
        ("minimum", sequence.minimum.into()),
        ("maximum", sequence.maximum.into()),
        ("cache", sequence.cache.into()),
        ("cycle", sequence.cycle.into()),
        ("persistence", persistence(row)?.into()),
        ("owned_by", owner(reader, id)?.into()),
    ])))
}

/// The column with which a sequence is dropped.
fn owner(reader: &Reader, id: Oid) -> Result<Option<String>> {
    let mut found = None;
    let keys = [
        equal(c"classid", Field::Oid(class::RELATION)),
        equal(c"objid", Field::Oid(id)),
        equal(c"objsubid", Field::Int(0)),
    ];
    catalog::each(class::DEPEND, class::DEPEND_BY_DEPENDER, &keys, |row| {
        let is_table = row.require::<Oid>(c"refclassid")? == class::RELATION;
        if is_table && row.letter(c"deptype")? == 'a' {
            let table = row.require(c"refobjid")?;
            let number: i32 = row.require(c"refobjsubid")?;
            let column = print::column(table, i16::try_from(number).unwrap_or(0));
            found = column.zip(reader.relation(table)?);
        }
        Ok(())
    })?;
    Ok(found.map(|(column, table)| format!("{table}.{column}")))
}

/// The options of an identity column's sequence that are not the default.
pub fn of_identity(table: Oid, column: i16) -> Result<Value> {
    let mut id = None;
    let keys = [
        equal(c"refclassid", Field::Oid(class::RELATION)),
        equal(c"refobjid", Field::Oid(table)),
        equal(c"refobjsubid", Field::Int(column.into())),
    ];
    catalog::each(class::DEPEND, class::DEPEND_BY_REFERENCED, &keys, |row| {
        let is_relation = row.require::<Oid>(c"classid")? == class::RELATION;
        if is_relation && row.letter(c"deptype")? == 'i' {
            id = Some(row.require(c"objid")?);
        }
        Ok(())
    })?;
    let sequence = id.map(read).transpose()?.flatten();
    let options = sequence.map(|sequence| sequence.unusual());
    let options = options.filter(|options| !options.is_empty());
    Ok(options.map_or(Value::Null, Value::Object))
}

impl Sequence {
    fn unusual(&self) -> Definition {
        let (least, greatest) = match print::type_name(self.of_type, None).as_str() {
            "smallint" => (i16::MIN.into(), i16::MAX.into()),
            "integer" => (i32::MIN.into(), i32::MAX.into()),
            _ => (i64::MIN, i64::MAX),
        };
        let (minimum, maximum, start) = match self.increment > 0 {
            true => (1, greatest, self.minimum),
            false => (least, -1, self.maximum),
        };
        let other = |value: i64, usual: i64| Value::from((value != usual).then_some(value));
        definition([
            ("start", other(self.start, start)),
            ("increment", other(self.increment, 1)),
            ("minimum", other(self.minimum, minimum)),
            ("maximum", other(self.maximum, maximum)),
            ("cache", other(self.cache, 1)),
            ("cycle", self.cycle.then_some(true).into()),
        ])
    }
}
