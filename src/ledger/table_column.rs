//! Looks at tables and their columns: what an online change has to know before it begins.

use pgrx::pg_sys::Oid;

use super::Ledger;
use crate::error::Result;
use crate::pg::spi::bind;

/// A relation.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its oid.
    pub id: Oid,
    /// Schema and name, quoted.
    pub quoted: String,
    /// pg_class.relkind.
    pub kind: String,
}

impl Ledger {
    /// The relation of that oid.
    pub fn find_relation(&self, id: Oid) -> Result<Option<Relation>> {
        const SQL: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
        self.select_one(SQL, &[bind(id)], |row| {
            Ok(Relation {
                id,
                quoted: row.require(1)?,
                kind: row.require(2)?,
            })
        })
    }

    /// The type of a column as it is declared; `None`: there is no such column.
    pub fn column_type(&self, table: Oid, column: &str) -> Result<Option<String>> {
        const SQL: &str = "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = $1 AND a.attname = $2::text AND a.attnum > 0 AND NOT a.attisdropped";
        self.select_one(SQL, &[bind(table), bind(column)], |row| row.require(1))
    }

    /// A type's name, qualified where it is not the server's own.
    pub fn type_name(&self, id: Oid, modifier: i32) -> Result<String> {
        const SQL: &str = "SELECT pg_catalog.format_type($1, $2)";
        let name = self.select_one(SQL, &[bind(id), bind(modifier)], |row| row.require(1))?;
        Ok(name.unwrap_or_default())
    }

    /// Whether a table has a trigger of that name that always fires.
    pub fn has_trigger(&self, table: Oid, name: &str) -> Result<bool> {
        const SQL: &str = "SELECT true FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1 AND t.tgname = $2::text AND t.tgenabled = 'A'";
        let there = self.select_one(SQL, &[bind(table), bind(name)], |row| row.require(1))?;
        Ok(there.unwrap_or(false))
    }
}
