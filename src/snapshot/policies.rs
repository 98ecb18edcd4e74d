//! Policies of row level security.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment};
use crate::error::Result;

const POLICIES: &str = concat!(
    "SELECT p.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.' || pg_catalog.quote_ident(p.polname),
       pg_catalog.json_build_object(
            'table', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
            'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                       ELSE 'ALL' END,
            'permissive', p.polpermissive,
            'roles', (SELECT pg_catalog.json_agg(u.name ORDER BY u.name COLLATE \"C\") FROM (
                 SELECT CASE o.o WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.o)) END
                   FROM pg_catalog.unnest(p.polroles) o (o)) u (name)),
            'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
            'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))::text,
       NULL::text, ",
    comment!("pg_policy", "p.oid"),
    " FROM pg_catalog.pg_policy p
      JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE p.polrelid = ANY ($1)"
);

/// Reads them.
pub fn read(snapshot: &mut Snapshot, relations: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Policy, POLICIES, relations)?;
    Ok(())
}
