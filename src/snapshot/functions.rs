//! Functions, procedures, aggregates and window functions.

use std::ffi::CStr;

use belay_core::snapshot::{Kind, sha256};
use pgrx::pg_sys::Oid;
use serde_json::Value;

use super::reader::{Object, Reader, definition, depends, sorted, users};
use crate::error::Result;
use crate::pg::acl::{self, Grant};
use crate::pg::row::Row;
use crate::pg::{catalog, class, print};

/// Reads them. The constructors of a range depend internally on it and follow it.
pub fn read(reader: &mut Reader) -> Result<()> {
    let (catalog, index) = (class::PROCEDURE, class::PROCEDURE_BY_OID);
    catalog::each(catalog, index, &[users(c"oid")], |row| {
        let (id, schema): (Oid, Oid) = (row.require(c"oid")?, row.require(c"pronamespace")?);
        match reader.counts(schema, class::PROCEDURE, id) && !depends(class::PROCEDURE, id, 'i')? {
            true => read_function(reader, row, id, schema),
            false => Ok(()),
        }
    })
}

fn read_function(reader: &mut Reader, row: &Row, id: Oid, schema: Oid) -> Result<()> {
    let types = row.get::<Vec<Oid>>(c"proargtypes")?.unwrap_or_default();
    let types: Vec<String> = types.iter().map(|id| print::type_name(*id, None)).collect();
    let name = reader.qualified(schema, &row.get_name(c"proname")?.unwrap_or_default());
    let grants = acl::grants(row, c"proacl", row.require(c"proowner")?)?;
    let object = Object {
        kind: Kind::Function,
        place: (class::PROCEDURE, id, 0),
        name: &format!("{name}({})", types.join(", ")),
        grants: &grants.unwrap_or_else(|| vec![Grant::to_public("EXECUTE")]),
    };
    let kind = row.letter(c"prokind")?;
    let (cost, rows): (f32, f32) = (row.require(c"procost")?, row.require(c"prorows")?);
    let settings = row.get::<Vec<String>>(c"proconfig")?.unwrap_or_default();
    let attributes = definition([
        ("kind", kind_word(kind).into()),
        ("arguments", print::arguments(id).into()),
        ("result", print::result(id).into()),
        ("language", print::language(row.require(c"prolang")?).into()),
        ("body", body(row, id, kind)?.into()),
        ("aggregate", aggregate(id, kind)?),
        ("volatility", volatility(row.letter(c"provolatile")?).into()),
        ("strict", row.get::<bool>(c"proisstrict")?.into()),
        ("security_definer", row.get::<bool>(c"prosecdef")?.into()),
        ("leakproof", row.get::<bool>(c"proleakproof")?.into()),
        ("parallel", parallel(row.letter(c"proparallel")?).into()),
        ("cost", number(cost)),
        (
            "rows",
            match rows == 0.0 {
                true => Value::Null,
                false => number(rows),
            },
        ),
        ("settings", sorted(settings)),
        ("transforms", transforms(row)?),
        (
            "support",
            print::function(row.require(c"prosupport")?).into(),
        ),
    ]);
    reader.add(&object, attributes);
    Ok(())
}

/// The body of a function written in standard SQL is what the server prints of it; of one in C, file and symbol.
fn body(row: &Row, id: Oid, kind: char) -> Result<Option<String>> {
    if kind == 'a' {
        return Ok(None);
    }
    let source: String = row.get(c"prosrc")?.unwrap_or_default();
    let text = match (print::sql_body(id), row.get::<String>(c"probin")?) {
        (Some(printed), _) => printed,
        (None, Some(file)) => format!("{file} {source}"),
        (None, None) => source,
    };
    Ok(Some(sha256(&text)))
}

fn aggregate(function: Oid, kind: char) -> Result<Value> {
    if kind != 'a' {
        return Ok(Value::Null);
    }
    let (catalog, index) = (class::AGGREGATE, class::AGGREGATE_BY_FUNCTION);
    let found = catalog::find(catalog, index, 1, function, aggregate_of);
    Ok(found.transpose()?.into())
}

fn aggregate_of(row: &Row) -> Result<Value> {
    let called =
        |column: &CStr| -> Result<Value> { Ok(print::signature(row.require(column)?).into()) };
    let letter = |column: &CStr| -> Result<Value> { Ok(row.letter(column)?.to_string().into()) };
    let flag = |column: &CStr| -> Result<Value> { Ok(row.get::<bool>(column)?.into()) };
    let text = |column: &CStr| -> Result<Value> { Ok(row.get::<String>(column)?.into()) };
    let size = |column: &CStr| -> Result<Value> {
        let size: i32 = row.require(column)?;
        Ok((size != 0).then_some(size).into())
    };
    let moving: Oid = row.require(c"aggmtranstype")?;
    let moving = (moving != Oid::INVALID).then(|| print::type_name(moving, None));
    let direct: i16 = row.require(c"aggnumdirectargs")?;
    Ok(definition([
        ("kind", letter(c"aggkind")?),
        ("direct_arguments", direct.into()),
        ("transition", called(c"aggtransfn")?),
        ("final", called(c"aggfinalfn")?),
        ("combine", called(c"aggcombinefn")?),
        ("serialize", called(c"aggserialfn")?),
        ("deserialize", called(c"aggdeserialfn")?),
        ("moving_transition", called(c"aggmtransfn")?),
        ("moving_inverse", called(c"aggminvtransfn")?),
        ("moving_final", called(c"aggmfinalfn")?),
        ("final_extra", flag(c"aggfinalextra")?),
        ("moving_final_extra", flag(c"aggmfinalextra")?),
        ("final_modify", letter(c"aggfinalmodify")?),
        ("moving_final_modify", letter(c"aggmfinalmodify")?),
        (
            "sort_operator",
            print::operator(row.require(c"aggsortop")?).into(),
        ),
        (
            "state",
            print::type_name(row.require(c"aggtranstype")?, None).into(),
        ),
        ("state_size", size(c"aggtransspace")?),
        ("moving_state", moving.into()),
        ("moving_state_size", size(c"aggmtransspace")?),
        ("initial", text(c"agginitval")?),
        ("moving_initial", text(c"aggminitval")?),
    ])
    .into())
}

fn transforms(row: &Row) -> Result<Value> {
    let types = row.get::<Vec<Oid>>(c"protrftypes")?.map(|types| {
        let names = types.iter().map(|id| print::type_name(*id, None));
        names.collect::<Vec<_>>()
    });
    Ok(types.into())
}

/// As the server writes a real: 100, 7.5.
fn number(value: f32) -> Value {
    serde_json::from_str(&print::real(value)).unwrap_or(Value::Null)
}

fn kind_word(kind: char) -> &'static str {
    match kind {
        'f' => "function",
        'p' => "procedure",
        'a' => "aggregate",
        _ => "window",
    }
}

fn volatility(letter: char) -> &'static str {
    match letter {
        'i' => "immutable",
        's' => "stable",
        _ => "volatile",
    }
}

fn parallel(letter: char) -> &'static str {
    match letter {
        's' => "safe",
        'r' => "restricted",
        _ => "unsafe",
    }
}
