//! The constraints of tables. What is NOT NULL, the column says.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment};
use crate::error::Result;

/// A foreign key to a partitioned table has rows of its own for each partition of that table: the server's business.
const CONSTRAINTS: &str = concat!(
    "SELECT k.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.' || pg_catalog.quote_ident(k.conname),
       pg_catalog.json_build_object(
            'kind', CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check'
                    WHEN 'f' THEN 'foreign key' WHEN 'x' THEN 'exclusion' ELSE 'constraint trigger' END,
            'table', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
            'definition', CASE WHEN k.convalidated THEN pg_catalog.pg_get_constraintdef(k.oid)
                    ELSE pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '') END,
            'validated', k.convalidated)::text,
       NULL::text, ",
    comment!("pg_constraint", "k.oid"),
    " FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.conrelid = ANY ($1) AND k.contype <> 'n'
       AND (k.conparentid = 0 OR NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p
                                              WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid))"
);

/// Reads them.
pub fn read(snapshot: &mut Snapshot, relations: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Constraint, CONSTRAINTS, relations)?;
    Ok(())
}
