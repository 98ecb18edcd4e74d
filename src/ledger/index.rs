//! Looks at indexes that a concurrent statement is about: which one is there, whether it is the one
//! that is wanted, who is building it.

use pgrx::pg_sys::Oid;

use super::Ledger;
use super::table_column::Relation;
use crate::error::Result;
use crate::pg::identity;
use crate::pg::spi::bind;

/// An index that has the name that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its oid.
    pub id: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Schema and name, quoted.
    pub quoted: String,
    /// Its table.
    pub table: Oid,
    /// Schema and name of the table, quoted.
    pub table_quoted: String,
    /// pg_index.indisvalid.
    pub valid: bool,
    /// Whether it is part of a partitioned table's index.
    pub is_part: bool,
}

/// A session that is building an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// pid, role and application.
    pub who: String,
    /// The phase, as pg_stat_progress_create_index has it.
    pub phase: String,
    /// How far the phase is; empty where it does not count.
    pub done: String,
}

impl Ledger {
    /// The index of that name in that schema.
    pub fn find_index(&self, schema: Option<&str>, name: &str) -> Result<Option<Existing>> {
        const SQL: &str = "SELECT i.indexrelid, i.indexrelid::regclass::text, i.indrelid, i.indrelid::regclass::text, i.indisvalid,
                    (SELECT n.nspname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.oid = i.indexrelid), (SELECT c.relispartition FROM pg_catalog.pg_class c WHERE c.oid = i.indexrelid)
               FROM pg_catalog.pg_index i
              WHERE i.indexrelid = pg_catalog.to_regclass(
                    coalesce(pg_catalog.quote_ident($1) || '.', '') || pg_catalog.quote_ident($2))";
        self.select_one(SQL, &[bind(schema), bind(name)], |row| {
            Ok(Existing {
                name: name.to_owned(),
                id: row.get(1)?.unwrap_or(Oid::INVALID),
                quoted: row.require(2)?,
                table: row.get(3)?.unwrap_or(Oid::INVALID),
                table_quoted: row.require(4)?,
                valid: row.require(5)?,
                schema: row.require(6)?,
                is_part: row.require(7)?,
            })
        })
    }

    /// Whether current_user has the rights of a relation's owner.
    pub fn owns(&self, relation: Oid) -> Result<bool> {
        const SQL: &str = "SELECT pg_catalog.pg_has_role($2, c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = $1";
        let arguments = [bind(relation), bind(identity::current_role())];
        let owns = self.select_one(SQL, &arguments, |row| row.require(1))?;
        Ok(owns.unwrap_or(false))
    }

    /// Whether two indexes have one definition, but for name and table.
    pub fn are_same_index(&self, one: Oid, other: &str) -> Result<bool> {
        const SQL: &str = "SELECT true
               FROM pg_catalog.pg_index a JOIN pg_catalog.pg_class ca ON ca.oid = a.indexrelid,
                    pg_catalog.pg_index b JOIN pg_catalog.pg_class cb ON cb.oid = b.indexrelid
              WHERE a.indexrelid = $1 AND b.indexrelid = pg_catalog.to_regclass($2)
                AND ca.relam = cb.relam AND ca.reloptions IS NOT DISTINCT FROM cb.reloptions
                AND a.indisunique = b.indisunique AND a.indimmediate = b.indimmediate AND a.indnullsnotdistinct = b.indnullsnotdistinct
                AND a.indnatts = b.indnatts AND a.indnkeyatts = b.indnkeyatts
                AND a.indcollation = b.indcollation AND a.indclass = b.indclass AND a.indoption = b.indoption
                AND pg_catalog.pg_get_expr(a.indpred, a.indrelid) IS NOT DISTINCT FROM pg_catalog.pg_get_expr(b.indpred, b.indrelid)
                AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_attribute x
                      JOIN pg_catalog.pg_attribute y ON y.attrelid = b.indexrelid AND y.attnum = x.attnum
                     WHERE x.attrelid = a.indexrelid
                       AND (pg_catalog.pg_get_indexdef(a.indexrelid, x.attnum, true), x.attoptions)
                           IS DISTINCT FROM (pg_catalog.pg_get_indexdef(b.indexrelid, y.attnum, true), y.attoptions))";
        let same = self.select_one(SQL, &[bind(one), bind(other)], |row| row.require(1))?;
        Ok(same.unwrap_or(false))
    }

    /// Who, but for this session, is building the index just now.
    pub fn find_builder(&self, index: &Existing) -> Result<Option<Builder>> {
        // A build that has only begun has no index yet; there is one build of a table at a time.
        const SQL: &str = "SELECT pg_catalog.format('pid %s, role %s%s', p.pid, coalesce(a.usename::text, '(unknown)'),
                    CASE WHEN coalesce(a.application_name, '') <> '' THEN ', application ' || a.application_name ELSE '' END),
                    coalesce(p.phase, 'beginning'),
                    CASE WHEN p.lockers_total > 0 THEN pg_catalog.format(', %s of %s sessions waited for', p.lockers_done, p.lockers_total)
                         WHEN p.tuples_total > 0 THEN pg_catalog.format(', %s of %s rows', p.tuples_done, p.tuples_total)
                         WHEN p.blocks_total > 0 THEN pg_catalog.format(', %s of %s blocks', p.blocks_done, p.blocks_total)
                         ELSE '' END
               FROM pg_catalog.pg_stat_progress_create_index p
               LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid
              WHERE p.datname = pg_catalog.current_database() AND p.relid = $1 AND p.index_relid = ANY (ARRAY[$2, 0::oid])
                AND p.pid <> pg_catalog.pg_backend_pid()
              LIMIT 1";
        self.select_one(SQL, &[bind(index.table), bind(index.id)], |row| {
            Ok(Builder {
                who: row.require(1)?,
                phase: row.require(2)?,
                done: row.require(3)?,
            })
        })
    }

    /// The indexes of a table, valid ones first.
    pub fn indexes_of(&self, table: Oid) -> Result<Vec<Existing>> {
        const SQL: &str = "SELECT i.indexrelid, pg_catalog.format('%I.%I', s.nspname, c.relname), i.indrelid::regclass::text, i.indisvalid, s.nspname::text, c.relname::text, c.relispartition
               FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
              WHERE i.indrelid = $1 ORDER BY i.indisvalid DESC, i.indexrelid";
        self.select(SQL, &[bind(table)], |row| {
            Ok(Existing {
                id: row.get(1)?.unwrap_or(Oid::INVALID),
                quoted: row.require(2)?,
                table,
                table_quoted: row.require(3)?,
                valid: row.require(4)?,
                schema: row.require(5)?,
                name: row.require(6)?,
                is_part: row.require(7)?,
            })
        })
    }

    /// pg_get_indexdef
    pub fn index_definition(&self, index: Oid) -> Result<String> {
        const SQL: &str = "SELECT coalesce(pg_catalog.pg_get_indexdef($1), '')";
        Ok(self
            .select_one(SQL, &[bind(index)], |row| row.require(1))?
            .unwrap_or_default())
    }

    /// The constraint that an index serves.
    pub fn constraint_of_index(&self, index: Oid) -> Result<Option<String>> {
        const SQL: &str = "SELECT n.conname::text FROM pg_catalog.pg_constraint n WHERE n.conindid = $1 AND n.contype IN ('p', 'u', 'x') LIMIT 1";
        self.select_one(SQL, &[bind(index)], |row| row.require(1))
    }

    /// The partitions directly below a table, by name.
    pub fn partitions(&self, table: Oid) -> Result<Vec<Relation>> {
        const SQL: &str = "SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = $1 AND c.relkind IN ('r', 'p') AND NOT i.inhdetachpending ORDER BY c.relname, c.oid";
        let children: Vec<Oid> = self.select(SQL, &[bind(table)], |row| {
            Ok(row.get(1)?.unwrap_or(Oid::INVALID))
        })?;
        let found: Result<Vec<_>> = children
            .into_iter()
            .map(|child| self.find_relation(child))
            .collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// A partition's part of a partitioned table's index.
    pub fn part_of_index(&self, partition: Oid, index: Oid) -> Result<Option<Existing>> {
        const SQL: &str = "SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_index x ON x.indexrelid = i.inhrelid
              WHERE i.inhparent = $2 AND x.indrelid = $1";
        let part: Option<Oid> = self
            .select_one(SQL, &[bind(partition), bind(index)], |row| row.get(1))?
            .flatten();
        let of_partition = self.indexes_of(partition)?;
        Ok(of_partition
            .into_iter()
            .find(|index| Some(index.id) == part))
    }

    /// The partitions of a table, at any depth, that are foreign tables.
    pub fn foreign_partitions(&self, table: Oid) -> Result<Vec<String>> {
        const SQL: &str = "SELECT c.oid::regclass::text FROM pg_catalog.pg_partition_tree($1) t JOIN pg_catalog.pg_class c ON c.oid = t.relid
              WHERE c.relkind = 'f' ORDER BY 1";
        self.select(SQL, &[bind(table)], |row| row.require(1))
    }
}
