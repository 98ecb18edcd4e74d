//! Triggers and rules, but for those by which the server does foreign keys and views.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment};
use crate::error::Result;

const TRIGGERS: &str = concat!(
    "SELECT g.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.' || pg_catalog.quote_ident(g.tgname),
       pg_catalog.json_build_object(
            'table', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
            'definition', pg_catalog.pg_get_triggerdef(g.oid),
            'enabled', CASE g.tgenabled WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END,
            'function', g.tgfoid::regproc::text || '()')::text,
       NULL::text, ",
    comment!("pg_trigger", "g.oid"),
    " FROM pg_catalog.pg_trigger g
      JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE g.tgrelid = ANY ($1) AND NOT g.tgisinternal"
);

const RULES: &str = concat!(
    "SELECT r.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.' || pg_catalog.quote_ident(r.rulename),
       pg_catalog.json_build_object(
            'table', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
            'definition', pg_catalog.pg_get_ruledef(r.oid),
            'enabled', CASE r.ev_enabled WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END)::text,
       NULL::text, ",
    comment!("pg_rewrite", "r.oid"),
    " FROM pg_catalog.pg_rewrite r
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE r.ev_class = ANY ($1) AND r.rulename <> '_RETURN'"
);

/// Reads both.
pub fn read(snapshot: &mut Snapshot, relations: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Trigger, TRIGGERS, relations)?;
    read::read(snapshot, Kind::Rule, RULES, relations)?;
    Ok(())
}
