//! Indexes, but for those that a constraint made.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment};
use crate::error::Result;

/// A foreign key names the index it refers to as well; only these three kinds have made one.
const INDEXES: &str = concat!(
    "SELECT i.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(i.relname),
       pg_catalog.json_build_object(
            'table', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
            'definition', pg_catalog.pg_get_indexdef(i.oid),
            'unique', x.indisunique,
            'valid', x.indisvalid,
            'partition_of', CASE WHEN i.relispartition THEN
                 (SELECT h.inhparent::regclass::text FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.oid) END)::text,
       NULL::text, ",
    comment!("pg_class", "i.oid"),
    " FROM pg_catalog.pg_index x
      JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
      JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE x.indrelid = ANY ($1)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                        WHERE k.conrelid = x.indrelid AND k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))"
);

/// Reads them.
pub fn read(snapshot: &mut Snapshot, relations: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Index, INDEXES, relations)?;
    Ok(())
}
