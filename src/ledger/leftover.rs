//! Looks at the catalog for what an interrupted statement left. Runs as the caller, whose
//! search_path the statement was written for.

use pgrx::pg_sys::Oid;

use crate::error::Result;
use crate::pg::spi::{self, Row, bind};

/// An index that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its schema.
    pub schema: String,
    /// Schema and name, quoted, whatever the search_path is.
    pub quoted: String,
    /// pg_index.indisvalid; true for what is no index.
    pub valid: bool,
    /// pg_class.oid
    pub oid: Oid,
    /// The table of an index that the current role may drop.
    pub table: Option<Oid>,
}

/// A partition's parent.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Schema and name of the parent, quoted.
    pub quoted: String,
    /// Schema of the partition.
    pub child_schema: String,
    /// Schema and name of the partition, quoted.
    pub child_quoted: String,
    /// pg_inherits.inhdetachpending.
    pub detach_pending: bool,
}

/// The relation $1.$2, as the search_path finds it when no schema is given.
macro_rules! named {
    () => {
        "pg_catalog.to_regclass(coalesce(pg_catalog.quote_ident($1) OPERATOR(pg_catalog.||) '.', '') OPERATOR(pg_catalog.||) pg_catalog.quote_ident($2))"
    };
}

/// The relation of that name, as the search_path finds it when no schema is given.
pub fn find_relation(schema: Option<&str>, name: &str) -> Result<Option<Index>> {
    const SQL: &str = concat!(
        "SELECT c.relname::pg_catalog.text, s.nspname::pg_catalog.text, pg_catalog.format('%I.%I', s.nspname, c.relname), coalesce(i.indisvalid, true),
                c.oid, CASE WHEN pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE') THEN i.indrelid END
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
           LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
          WHERE c.oid OPERATOR(pg_catalog.=) ",
        named!()
    );
    spi::select_one(SQL, &[bind(schema), bind(name)], |row| index(&row))
}

/// What a REINDEX CONCURRENTLY of that index or table, its partitions and its TOAST table leaves:
/// invalid indexes beside the ones it worked on, with their names and the server's ending
/// (ChooseRelationName, which cuts what is longer than 63 bytes).
pub fn find_reindex_remains(schema: Option<&str>, name: &str) -> Result<Vec<Index>> {
    const SQL: &str = concat!(
        "WITH tree AS (
             SELECT ", named!(), " AS oid
             UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(", named!(), ") p
           ), own AS (
             SELECT x.indexrelid, x.indrelid FROM tree
               JOIN pg_catalog.pg_index x ON x.indexrelid OPERATOR(pg_catalog.=) tree.oid
             UNION
             SELECT x.indexrelid, x.indrelid FROM tree
               JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) tree.oid
               JOIN pg_catalog.pg_index x ON x.indrelid OPERATOR(pg_catalog.=) t.oid OR x.indrelid OPERATOR(pg_catalog.=) t.reltoastrelid
           )
           SELECT DISTINCT c.relname::pg_catalog.text, s.nspname::pg_catalog.text, pg_catalog.format('%I.%I', s.nspname, c.relname), false,
                  c.oid, CASE WHEN pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE') THEN i.indrelid END
             FROM own
             JOIN pg_catalog.pg_class o ON o.oid OPERATOR(pg_catalog.=) own.indexrelid
             JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) own.indrelid AND NOT i.indisvalid
             JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
             JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
            CROSS JOIN LATERAL (SELECT pg_catalog.regexp_replace(c.relname::pg_catalog.text, '_cc(new|old)[0-9]*$', '') AS name) base
            WHERE c.relname::pg_catalog.text OPERATOR(pg_catalog.<>) base.name
              AND (base.name OPERATOR(pg_catalog.=) o.relname::pg_catalog.text
                   OR pg_catalog.octet_length(c.relname::pg_catalog.text) OPERATOR(pg_catalog.>=) 60
                      AND pg_catalog.starts_with(o.relname::pg_catalog.text, base.name))
            ORDER BY 3"
    );
    spi::select(SQL, &[bind(schema), bind(name)], |row| index(&row))
}

fn index(row: &Row<'_, '_>) -> Result<Index> {
    Ok(Index {
        name: row.require(1)?,
        schema: row.require(2)?,
        quoted: row.require(3)?,
        valid: row.require(4)?,
        oid: row.get(5)?.unwrap_or(Oid::INVALID),
        table: row.get(6)?,
    })
}

/// The parent of a partition, while it is one.
pub fn find_parent(schema: Option<&str>, name: &str) -> Result<Option<Parent>> {
    const SQL: &str = concat!(
        "SELECT pg_catalog.format('%I.%I', ps.nspname, p.relname), cs.nspname::pg_catalog.text,
                pg_catalog.format('%I.%I', cs.nspname, c.relname), h.inhdetachpending
           FROM pg_catalog.pg_inherits h
           JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) h.inhparent
           JOIN pg_catalog.pg_namespace ps ON ps.oid OPERATOR(pg_catalog.=) p.relnamespace
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) h.inhrelid
           JOIN pg_catalog.pg_namespace cs ON cs.oid OPERATOR(pg_catalog.=) c.relnamespace
          WHERE h.inhrelid OPERATOR(pg_catalog.=) ",
        named!()
    );
    spi::select_one(SQL, &[bind(schema), bind(name)], |row| {
        Ok(Parent {
            quoted: row.require(1)?,
            child_schema: row.require(2)?,
            child_quoted: row.require(3)?,
            detach_pending: row.require(4)?,
        })
    })
}
