//! Schemas and extensions.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::reader::{Object, Reader, definition};
use crate::error::Result;
use crate::pg::acl;
use crate::pg::row::Row;
use crate::pg::{catalog, class, print};

/// Reads both, and says in which schemas objects count, members of extensions included: they may hold others.
/// The server's schemas, those of temporary tables and Belay's own are left out.
pub fn read(reader: &mut Reader, schemas: Option<&[String]>) -> Result<()> {
    catalog::each(class::NAMESPACE, class::NAMESPACE_BY_OID, &[], |row| {
        let name = row.get_name(c"nspname")?.unwrap_or_default();
        let is_own = name.starts_with("pg_") || ["information_schema", "belay"].contains(&&*name);
        let is_asked = schemas.is_none_or(|schemas| schemas.contains(&name));
        match !is_own && is_asked {
            true => read_schema(reader, row),
            false => Ok(()),
        }
    })?;
    catalog::each(class::EXTENSION, class::EXTENSION_BY_OID, &[], |row| {
        read_extension(reader, row)
    })
}

fn read_schema(reader: &mut Reader, row: &Row) -> Result<()> {
    let id: Oid = row.require(c"oid")?;
    reader.within.insert(id);
    if reader.is_member(class::NAMESPACE, id) {
        return Ok(());
    }
    let grants = acl::grants(row, c"nspacl", row.require(c"nspowner")?)?;
    let name = reader.schema(id).to_owned();
    let schema = Object {
        kind: Kind::Schema,
        place: (class::NAMESPACE, id, 0),
        name: &name,
        grants: &grants.unwrap_or_default(),
    };
    reader.add(&schema, definition([]));
    Ok(())
}

/// Of every schema. Belay itself is the tool; the comments on extensions are their authors'.
fn read_extension(reader: &mut Reader, row: &Row) -> Result<()> {
    let name = row.get_name(c"extname")?.unwrap_or_default();
    if name == "pg_belay" {
        return Ok(());
    }
    let schema = reader.schema(row.require(c"extnamespace")?);
    let attributes = definition([
        ("schema", schema.into()),
        ("version", row.get::<String>(c"extversion")?.into()),
    ]);
    reader
        .snapshot
        .insert(Kind::Extension, print::quote(&name), attributes);
    Ok(())
}
