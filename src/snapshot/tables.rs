//! Tables: ordinary, partitioned and foreign.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants, no_member};
use crate::error::Result;

const TABLES: &str = concat!(
    "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       pg_catalog.json_build_object(
            'kind', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' ELSE 'foreign table' END,
            'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END,
            'partition_key', CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
            'partition_of', CASE WHEN c.relispartition THEN
                 (SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) END,
            'partition_bound', CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END,
            'inherits', CASE WHEN NOT c.relispartition THEN
                 (SELECT pg_catalog.json_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
                    FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) END,
            'row_security', c.relrowsecurity,
            'force_row_security', c.relforcerowsecurity,
            'options', (SELECT pg_catalog.json_agg(o.o ORDER BY o.o COLLATE \"C\") FROM (
                 SELECT pg_catalog.unnest(c.reloptions) UNION ALL
                 SELECT 'toast.' || pg_catalog.unnest(t.reloptions) FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid) o (o)),
            'access_method', (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = c.relam),
            'replica_identity', CASE WHEN c.relkind <> 'f' THEN
                 CASE c.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
                 ELSE 'index ' || (SELECT x.indexrelid::regclass::text FROM pg_catalog.pg_index x
                                    WHERE x.indrelid = c.oid AND x.indisreplident) END END,
            'of_type', CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END,
            'server', CASE WHEN c.relkind = 'f' THEN
                 (SELECT pg_catalog.quote_ident(s.srvname) FROM pg_catalog.pg_foreign_table f
                    JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END,
            'server_options', CASE WHEN c.relkind = 'f' THEN
                 (SELECT pg_catalog.json_agg(o.o ORDER BY o.o COLLATE \"C\")
                    FROM pg_catalog.pg_foreign_table f, pg_catalog.unnest(f.ftoptions) o (o) WHERE f.ftrelid = c.oid) END)::text, ",
    grants!("c.relacl", "c.relowner"),
    "::text, ",
    comment!("pg_class", "c.oid"),
    " FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relnamespace = ANY ($1) AND c.relkind IN ('r', 'p', 'f') AND ",
    no_member!("pg_class", "c.oid")
);

/// Reads them; their OIDs.
pub fn read(snapshot: &mut Snapshot, schemas: &[Oid]) -> Result<Vec<Oid>> {
    read::read(snapshot, Kind::Table, TABLES, schemas)
}
