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
    /// Its name.
    pub name: String,
    /// Its schema, quoted.
    pub schema: String,
    /// Its schema.
    pub schema_name: String,
    /// pg_class.relkind.
    pub kind: String,
}

impl Ledger {
    /// The relation of that oid.
    pub fn find_relation(&self, id: Oid) -> Result<Option<Relation>> {
        const SQL: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text, pg_catalog.quote_ident(n.nspname), n.nspname::text, c.relname::text
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
        self.select_one(SQL, &[bind(id)], |row| {
            Ok(Relation {
                id,
                quoted: row.require(1)?,
                kind: row.require(2)?,
                schema: row.require(3)?,
                schema_name: row.require(4)?,
                name: row.require(5)?,
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

    /// What cannot be carried over to another column, a line each. `others` are columns that are being changed as well.
    pub fn column_obstacles(
        &self,
        table: Oid,
        column: &str,
        others: &[String],
    ) -> Result<Vec<String>> {
        // Whatever depends on the column counts, unless it is known how to carry it.
        const SQL: &str = "WITH me AS (
                 SELECT a.*, c.relkind, c.relispartition, c.reloftype, c.relpersistence FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
                  WHERE a.attrelid = $1 AND a.attname = $2::text),
             dependents AS (
                 SELECT DISTINCT d.classid, d.objid, d.objsubid, d.deptype FROM me
                   JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = me.attnum)
             SELECT w.what FROM (
             SELECT 'it is an identity column: its values are the server''s own; make it one with DEFAULT nextval(...) first' AS what FROM me WHERE me.attidentity <> ''
             UNION ALL SELECT 'it is generated from other columns' FROM me WHERE me.attgenerated <> ''
             UNION ALL SELECT 'the table is a partition: change the column of the partitioned table' FROM me WHERE me.relispartition
             UNION ALL SELECT 'the table is of a composite type: its columns are the type''s' FROM me WHERE me.reloftype <> 0
             UNION ALL SELECT pg_catalog.format('the table is inherited by or inherits from %s', CASE i.inhrelid WHEN $1 THEN i.inhparent ELSE i.inhrelid END::regclass)
               FROM me JOIN pg_catalog.pg_inherits i ON $1 IN (i.inhparent, i.inhrelid) WHERE me.relkind = 'r' AND NOT me.relispartition
             UNION ALL SELECT 'it belongs to the partition key' FROM me JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = $1
              WHERE me.attnum = ANY (p.partattrs::int2[]) OR EXISTS (SELECT FROM dependents d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = $1 AND d.objsubid = 0)
             UNION ALL SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
               FROM dependents d
              WHERE CASE d.classid
                    WHEN 'pg_catalog.pg_attrdef'::regclass THEN NOT EXISTS (SELECT FROM me JOIN pg_catalog.pg_attrdef f ON f.adrelid = $1 AND f.adnum = me.attnum WHERE f.oid = d.objid)
                    WHEN 'pg_catalog.pg_constraint'::regclass THEN EXISTS (SELECT FROM me, pg_catalog.pg_constraint n WHERE n.oid = d.objid
                          AND (n.contype = 'x' OR n.condeferrable AND n.contype <> 'f' OR n.contype IN ('p', 'u', 'f') AND me.relkind = 'p'
                               OR pg_catalog.to_jsonb(n) ->> 'conperiod' = 'true'))
                    WHEN 'pg_catalog.pg_class'::regclass THEN EXISTS (SELECT FROM me, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
                         WHERE c.oid = d.objid AND c.oid <> $1 AND NOT (c.relkind = 'i' AND NOT i.indisreplident OR c.relkind = 'S' AND d.deptype = 'a'))
                    WHEN 'pg_catalog.pg_statistic_ext'::regclass THEN false
                    ELSE true END
             UNION ALL SELECT pg_catalog.format('index %s, by which replication knows the rows', i.indexrelid::regclass) FROM me JOIN pg_catalog.pg_index i ON i.indrelid = $1
              WHERE i.indisreplident AND me.attnum = ANY (i.indkey::int2[])
             UNION ALL SELECT pg_catalog.format('%s, which it shares with column \"%s\", that is being changed as well: one after the other',
                    pg_catalog.pg_describe_object(d.classid, d.objid, 0), o.attname)
               FROM dependents d JOIN pg_catalog.pg_depend e ON e.classid = d.classid AND e.objid = d.objid
               JOIN pg_catalog.pg_attribute o ON o.attrelid = $1 AND o.attnum = e.refobjsubid AND o.attname = ANY ($3)
              WHERE e.refclassid = 'pg_catalog.pg_class'::regclass AND e.refobjid = $1 AND d.classid <> 'pg_catalog.pg_attrdef'::regclass
             UNION ALL SELECT pg_catalog.format('security label of provider %s', l.provider) FROM me JOIN pg_catalog.pg_seclabel l
                 ON l.classoid = 'pg_catalog.pg_class'::regclass AND l.objoid = $1 AND l.objsubid = me.attnum) w GROUP BY 1 ORDER BY 1";
        let arguments = [bind(table), bind(column), bind(others.to_vec())];
        self.select(SQL, &arguments, |row| row.require(1))
    }

    /// Whether a type is a domain that refuses values: a column of it cannot be added without writing every row again.
    pub fn is_constrained_domain(&self, type_name: &str) -> Result<bool> {
        const SQL: &str = "WITH RECURSIVE d AS (
                 SELECT t.oid, t.typtype, t.typnotnull, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.to_regtype($1)
                 UNION ALL SELECT t.oid, t.typtype, t.typnotnull, t.typbasetype FROM d JOIN pg_catalog.pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
             SELECT pg_catalog.bool_or(d.typtype = 'd' AND (d.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint n WHERE n.contypid = d.oid))) FROM d";
        let found = self.select_one(SQL, &[bind(type_name)], |row| row.get(1))?;
        Ok(found.flatten().unwrap_or(false))
    }
}
