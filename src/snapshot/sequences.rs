//! Sequences, but for those of identity columns.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants};
use crate::error::Result;

const SEQUENCES: &str = concat!(
    "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       pg_catalog.json_build_object('type', pg_catalog.format_type(s.seqtypid, NULL), 'start', s.seqstart,
            'increment', s.seqincrement, 'minimum', s.seqmin, 'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
            'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END,
            'owned_by', (SELECT pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname) || '.'
                                || pg_catalog.quote_ident(a.attname)
                           FROM pg_catalog.pg_depend o
                           JOIN pg_catalog.pg_class t ON t.oid = o.refobjid
                           JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
                           JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = o.refobjsubid
                          WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = c.oid AND o.objsubid = 0
                            AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.deptype = 'a'))::text, ",
    grants!("c.relacl", "c.relowner"),
    "::text, ",
    comment!("pg_class", "c.oid"),
    " FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
     WHERE c.relnamespace = ANY ($1) AND c.relkind = 'S'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
                        WHERE i.classid = 'pg_catalog.pg_class'::regclass AND i.objid = c.oid AND i.deptype IN ('e', 'i'))"
);

/// Reads them.
pub fn read(snapshot: &mut Snapshot, schemas: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Sequence, SEQUENCES, schemas)?;
    Ok(())
}
