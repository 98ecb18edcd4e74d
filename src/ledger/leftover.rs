//! Looks at the catalog for what an interrupted statement left. Runs as the caller, whose
//! search_path the statement was written for.

use crate::error::Result;
use crate::pg::spi::{self, bind};

/// An index that was found.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Schema and name, quoted.
    pub quoted: String,
    /// pg_index.indisvalid; true for what is no index.
    pub valid: bool,
}

/// A partition's parent.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Schema and name of the parent, quoted.
    pub quoted: String,
    /// Schema and name of the partition, quoted.
    pub child_quoted: String,
    /// pg_inherits.inhdetachpending.
    pub detach_pending: bool,
}

/// The relation of that name, as the search_path finds it when no schema is given.
pub fn find_relation(schema: Option<&str>, name: &str) -> Result<Option<Index>> {
    const SQL: &str = "SELECT c.relname::pg_catalog.text, c.oid::pg_catalog.regclass::pg_catalog.text, coalesce(i.indisvalid, true)
           FROM pg_catalog.pg_class c
           LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
          WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(
                coalesce(pg_catalog.quote_ident($1) OPERATOR(pg_catalog.||) '.', '') OPERATOR(pg_catalog.||) pg_catalog.quote_ident($2))";
    spi::select_one(SQL, &[bind(schema), bind(name)], |row| {
        Ok(Index {
            name: row.require(1)?,
            quoted: row.require(2)?,
            valid: row.require(3)?,
        })
    })
}

/// Invalid `_ccnew` and `_ccold` indexes of the table, or of the index's table, and of its TOAST table.
pub fn find_reindex_remains(schema: Option<&str>, name: &str) -> Result<Vec<Index>> {
    const SQL: &str = "SELECT c.relname::pg_catalog.text, c.oid::pg_catalog.regclass::pg_catalog.text, false
           FROM (SELECT pg_catalog.to_regclass(
                 coalesce(pg_catalog.quote_ident($1) OPERATOR(pg_catalog.||) '.', '') OPERATOR(pg_catalog.||) pg_catalog.quote_ident($2)) AS oid) n
           JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) coalesce(
                (SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid OPERATOR(pg_catalog.=) n.oid), n.oid)
           JOIN pg_catalog.pg_index i ON NOT i.indisvalid
            AND (i.indrelid OPERATOR(pg_catalog.=) t.oid OR i.indrelid OPERATOR(pg_catalog.=) t.reltoastrelid)
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
          WHERE c.relname OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'";
    spi::select(SQL, &[bind(schema), bind(name)], |row| {
        Ok(Index {
            name: row.require(1)?,
            quoted: row.require(2)?,
            valid: row.require(3)?,
        })
    })
}

/// The parent of a partition, while it is one.
pub fn find_parent(schema: Option<&str>, name: &str) -> Result<Option<Parent>> {
    const SQL: &str = "SELECT h.inhparent::pg_catalog.regclass::pg_catalog.text, h.inhrelid::pg_catalog.regclass::pg_catalog.text, h.inhdetachpending
           FROM pg_catalog.pg_inherits h
          WHERE h.inhrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(
                coalesce(pg_catalog.quote_ident($1) OPERATOR(pg_catalog.||) '.', '') OPERATOR(pg_catalog.||) pg_catalog.quote_ident($2))";
    spi::select_one(SQL, &[bind(schema), bind(name)], |row| {
        Ok(Parent {
            quoted: row.require(1)?,
            child_quoted: row.require(2)?,
            detach_pending: row.require(3)?,
        })
    })
}
