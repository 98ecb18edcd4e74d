//! The columns of tables and views. Their order does not count.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants};
use crate::error::Result;

/// 18 keeps a constraint for each NOT NULL; one that is not valid yet says so in the column.
const COLUMNS: &str = concat!(
    "SELECT c.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.' || pg_catalog.quote_ident(a.attname),
       pg_catalog.json_build_object(
            'of', CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'not_null', a.attnotnull,
            'not_null_validated', CASE WHEN a.attnotnull THEN
                 (SELECT false FROM pg_catalog.pg_constraint k
                   WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey[1] = a.attnum AND NOT k.convalidated) END,
            'default', CASE WHEN a.atthasdef AND a.attgenerated = '' THEN
                 (SELECT pg_catalog.pg_get_expr(f.adbin, f.adrelid) FROM pg_catalog.pg_attrdef f
                   WHERE f.adrelid = c.oid AND f.adnum = a.attnum) END,
            'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
            'identity_options', CASE WHEN a.attidentity <> '' THEN
                 (SELECT NULLIF(pg_catalog.json_strip_nulls(pg_catalog.json_build_object(
                         'start', NULLIF(s.seqstart, CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END),
                         'increment', NULLIF(s.seqincrement, 1),
                         'minimum', NULLIF(s.seqmin, CASE WHEN s.seqincrement > 0 THEN 1
                              ELSE (CASE s.seqtypid WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
                                    ELSE -9223372036854775808 END)::bigint END),
                         'maximum', NULLIF(s.seqmax, CASE WHEN s.seqincrement < 0 THEN -1
                              ELSE (CASE s.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                    ELSE 9223372036854775807 END)::bigint END),
                         'cache', NULLIF(s.seqcache, 1), 'cycle', NULLIF(s.seqcycle, false)))::text, '{}')::json
                    FROM pg_catalog.pg_depend i
                    JOIN pg_catalog.pg_sequence s ON s.seqrelid = i.objid
                   WHERE i.refclassid = 'pg_catalog.pg_class'::regclass AND i.refobjid = c.oid AND i.refobjsubid = a.attnum
                     AND i.classid = 'pg_catalog.pg_class'::regclass AND i.deptype = 'i') END,
            'generated', CASE WHEN a.attgenerated <> '' THEN
                 (SELECT pg_catalog.json_build_object('expression', pg_catalog.pg_get_expr(f.adbin, f.adrelid),
                         'stored', a.attgenerated = 's')
                    FROM pg_catalog.pg_attrdef f WHERE f.adrelid = c.oid AND f.adnum = a.attnum) END,
            'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
            'server_options', CASE WHEN a.attfdwoptions IS NOT NULL THEN
                 (SELECT pg_catalog.json_agg(o.o ORDER BY o.o COLLATE \"C\") FROM pg_catalog.unnest(a.attfdwoptions) o (o)) END)::text, ",
    "CASE WHEN a.attacl IS NOT NULL THEN ",
    grants!("a.attacl", "c.relowner"),
    "::text END, ",
    comment!("pg_class", "c.oid", "a.attnum"),
    " FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.oid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped"
);

/// Reads them.
pub fn read(snapshot: &mut Snapshot, relations: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Column, COLUMNS, relations)?;
    Ok(())
}
