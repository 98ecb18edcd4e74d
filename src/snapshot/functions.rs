//! Functions, procedures, aggregates and window functions.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants};
use crate::error::Result;

/// The constructors of a range depend internally on it and follow it. The body of a function written in standard SQL is what the server prints of it; of one in C, file and symbol.
const FUNCTIONS: &str = concat!(
    "SELECT p.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.array_to_string(
            ARRAY(SELECT pg_catalog.format_type(u.id, NULL) FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY u (id, at)
                   ORDER BY u.at), ', ') || ')',
       pg_catalog.json_build_object(
            'kind', CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'window' END,
            'arguments', pg_catalog.pg_get_function_arguments(p.oid),
            'result', pg_catalog.pg_get_function_result(p.oid),
            'language', (SELECT l.lanname FROM pg_catalog.pg_language l WHERE l.oid = p.prolang),
            'body', CASE WHEN p.prokind <> 'a' THEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
                 COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.probin || ' ' || p.prosrc, p.prosrc), 'UTF8')), 'hex') END,
            'aggregate', CASE WHEN p.prokind = 'a' THEN
                 (SELECT pg_catalog.json_build_object('kind', g.aggkind, 'direct_arguments', g.aggnumdirectargs,
                         'transition', g.aggtransfn::regprocedure::text, 'final', NULLIF(g.aggfinalfn, 0)::regprocedure::text,
                         'combine', NULLIF(g.aggcombinefn, 0)::regprocedure::text,
                         'serialize', NULLIF(g.aggserialfn, 0)::regprocedure::text,
                         'deserialize', NULLIF(g.aggdeserialfn, 0)::regprocedure::text,
                         'moving_transition', NULLIF(g.aggmtransfn, 0)::regprocedure::text,
                         'moving_inverse', NULLIF(g.aggminvtransfn, 0)::regprocedure::text,
                         'moving_final', NULLIF(g.aggmfinalfn, 0)::regprocedure::text,
                         'final_extra', g.aggfinalextra, 'moving_final_extra', g.aggmfinalextra,
                         'final_modify', g.aggfinalmodify, 'moving_final_modify', g.aggmfinalmodify,
                         'sort_operator', NULLIF(g.aggsortop, 0)::regoperator::text,
                         'state', pg_catalog.format_type(g.aggtranstype, NULL), 'state_size', NULLIF(g.aggtransspace, 0),
                         'moving_state', CASE WHEN g.aggmtranstype <> 0 THEN pg_catalog.format_type(g.aggmtranstype, NULL) END,
                         'moving_state_size', NULLIF(g.aggmtransspace, 0),
                         'initial', g.agginitval, 'moving_initial', g.aggminitval)
                    FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid) END,
            'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
            'strict', p.proisstrict,
            'security_definer', p.prosecdef,
            'leakproof', p.proleakproof,
            'parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
            'cost', p.procost,
            'rows', NULLIF(p.prorows, 0),
            'settings', (SELECT pg_catalog.json_agg(s.s ORDER BY s.s COLLATE \"C\") FROM pg_catalog.unnest(p.proconfig) s (s)),
            'transforms', (SELECT pg_catalog.json_agg(pg_catalog.format_type(s.s, NULL)) FROM pg_catalog.unnest(p.protrftypes) s (s)),
            'support', NULLIF(p.prosupport, 0)::regproc::text)::text, ",
    grants!("COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))", "p.proowner"),
    "::text, ",
    comment!("pg_proc", "p.oid"),
    " FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE p.pronamespace = ANY ($1)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
                        WHERE i.classid = 'pg_catalog.pg_proc'::regclass AND i.objid = p.oid AND i.deptype IN ('e', 'i'))"
);

/// Reads them.
pub fn read(snapshot: &mut Snapshot, schemas: &[Oid]) -> Result<()> {
    read::read(snapshot, Kind::Function, FUNCTIONS, schemas)?;
    Ok(())
}
