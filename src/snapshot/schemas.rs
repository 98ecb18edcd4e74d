//! Schemas and extensions.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants, no_member};
use crate::error::Result;
use crate::pg::spi::{self, bind};

/// The server's schemas, those of temporary tables and Belay's own are left out.
const WITHIN: &str = "SELECT n.oid FROM pg_catalog.pg_namespace n
 WHERE n.nspname !~ '^pg_' AND n.nspname <> ALL ('{information_schema, belay}')
   AND ($1 IS NULL OR n.nspname = ANY ($1))";

const SCHEMAS: &str = concat!(
    "SELECT n.oid, pg_catalog.quote_ident(n.nspname), '{}', ",
    grants!("n.nspacl", "n.nspowner"),
    "::text, ",
    comment!("pg_namespace", "n.oid"),
    " FROM pg_catalog.pg_namespace n
     WHERE n.oid = ANY ($1) AND ",
    no_member!("pg_namespace", "n.oid")
);

/// Of every schema. Belay itself is the tool; the comments on extensions are their authors'.
const EXTENSIONS: &str = "SELECT x.oid, pg_catalog.quote_ident(x.extname),
       pg_catalog.json_build_object('schema', pg_catalog.quote_ident(n.nspname), 'version', x.extversion)::text,
       NULL::text, NULL::text
  FROM pg_catalog.pg_extension x
  JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
 WHERE x.extname <> 'pg_belay' AND $1 IS NOT NULL";

/// Reads both; the schemas in which objects count, members of extensions included: they may hold others.
pub fn read(snapshot: &mut Snapshot, schemas: Option<&[String]>) -> Result<Vec<Oid>> {
    let arguments = [bind(schemas.map(<[String]>::to_vec))];
    let within = spi::select(WITHIN, &arguments, |row| row.get::<Oid>(1))?;
    let within: Vec<Oid> = within.into_iter().flatten().collect();
    read::read(snapshot, Kind::Schema, SCHEMAS, &within)?;
    read::read(snapshot, Kind::Extension, EXTENSIONS, &within)?;
    Ok(within)
}
