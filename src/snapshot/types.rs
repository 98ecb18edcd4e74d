//! Types and the constraints of domains. Row types, array types and the multiranges of ranges follow another object.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants, no_member};
use crate::error::Result;

const TYPES: &str = concat!(
    "SELECT t.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname),
       CASE t.typtype
       WHEN 'e' THEN pg_catalog.json_build_object('kind', 'enum', 'labels',
            ARRAY(SELECT l.enumlabel FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder))
       WHEN 'd' THEN pg_catalog.json_build_object('kind', 'domain',
            'type', pg_catalog.format_type(t.typbasetype, t.typtypmod),
            'not_null', t.typnotnull,
            'default', COALESCE(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault),
            'collation', CASE WHEN t.typcollation <> (SELECT b.typcollation FROM pg_catalog.pg_type b WHERE b.oid = t.typbasetype)
                              THEN t.typcollation::regcollation::text END)
       WHEN 'c' THEN pg_catalog.json_build_object('kind', 'composite', 'attributes',
            (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname,
                    'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                    'collation', CASE WHEN a.attcollation <> b.typcollation THEN a.attcollation::regcollation::text END,
                    'comment', ", comment!("pg_class", "a.attrelid", "a.attnum"), ") ORDER BY a.attnum), '[]')
               FROM pg_catalog.pg_attribute a
               JOIN pg_catalog.pg_type b ON b.oid = a.atttypid
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
       WHEN 'r' THEN (SELECT pg_catalog.json_build_object('kind', 'range',
            'subtype', pg_catalog.format_type(r.rngsubtype, NULL),
            'subtype_opclass', (SELECT pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(o.opcname)
                                  FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_namespace s ON s.oid = o.opcnamespace
                                 WHERE o.oid = r.rngsubopc),
            'collation', NULLIF(r.rngcollation, 0)::regcollation::text,
            'canonical', NULLIF(r.rngcanonical, 0)::regproc::text,
            'subtype_diff', NULLIF(r.rngsubdiff, 0)::regproc::text,
            'multirange', pg_catalog.format_type(r.rngmultitypid, NULL))
               FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
       ELSE pg_catalog.json_build_object('kind', 'base',
            'input', NULLIF(t.typinput, 0)::regproc::text, 'output', NULLIF(t.typoutput, 0)::regproc::text,
            'receive', NULLIF(t.typreceive, 0)::regproc::text, 'send', NULLIF(t.typsend, 0)::regproc::text,
            'modifier_input', NULLIF(t.typmodin, 0)::regproc::text, 'modifier_output', NULLIF(t.typmodout, 0)::regproc::text,
            'analyze', NULLIF(t.typanalyze, 0)::regproc::text, 'subscript', NULLIF(t.typsubscript, 0)::regproc::text,
            'length', t.typlen, 'by_value', t.typbyval, 'alignment', t.typalign, 'storage', t.typstorage,
            'category', t.typcategory, 'preferred', t.typispreferred, 'delimiter', t.typdelim,
            'element', CASE WHEN t.typelem <> 0 THEN pg_catalog.format_type(t.typelem, NULL) END,
            'default', t.typdefault, 'collatable', NULLIF(t.typcollation <> 0, false))
       END::text, ",
    grants!("COALESCE(t.typacl, pg_catalog.acldefault('T', t.typowner))", "t.typowner"),
    "::text, ",
    comment!("pg_type", "t.oid"),
    " FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typnamespace = ANY ($1) AND t.typtype IN ('b', 'c', 'd', 'e', 'r') AND t.typisdefined
       AND (t.typrelid = 0 OR (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid) = 'c')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_type i WHERE i.oid = t.typelem AND i.typarray = t.oid)
       AND ", no_member!("pg_type", "t.oid")
);

/// A domain that is NOT NULL says so itself (17 and later keep a constraint for it).
const DOMAIN_CONSTRAINTS: &str = concat!(
    "SELECT k.oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) || '.' || pg_catalog.quote_ident(k.conname),
       pg_catalog.json_build_object('domain', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname),
            'definition', pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
            'validated', k.convalidated)::text,
       NULL::text, ",
    comment!("pg_constraint", "k.oid"),
    " FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_type t ON t.oid = k.contypid
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE k.contypid = ANY ($1) AND k.contype = 'c'"
);

/// Reads both.
pub fn read(snapshot: &mut Snapshot, schemas: &[Oid]) -> Result<()> {
    let types = read::read(snapshot, Kind::Type, TYPES, schemas)?;
    read::read(snapshot, Kind::DomainConstraint, DOMAIN_CONSTRAINTS, &types)?;
    Ok(())
}
