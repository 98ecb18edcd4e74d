//! What belongs to a column, as the catalog has it in the moment in which the column has another name.

use super::super::texts::Texts;
use crate::error::Result;
use crate::pg::spi::{self, bind};
use crate::pg::transaction;

/// One fact of the catalog, as the query below gives it.
pub struct Fact {
    /// What it is.
    pub kind: String,
    /// Its name, or whose it is.
    pub name: String,
    /// How the server writes it.
    pub definition: String,
    /// The table of a constraint or the schema of an index, quoted; or whose remark it is.
    pub table: String,
    /// Of an index its marks, of statistics their target.
    pub extra: Option<String>,
    /// Whether it holds for all rows.
    pub validated: bool,
}

/// $1: the table, $2: the column's name in this moment.
const FACTS: &str = "WITH me AS (
         SELECT a.* FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::text)
     SELECT 'not null', coalesce((SELECT n.conname::text FROM pg_catalog.pg_constraint n WHERE n.conrelid = $1 AND n.contype = 'n' AND n.conkey = ARRAY[me.attnum]), ''),
            '', '', NULL, true FROM me WHERE me.attnotnull
     UNION ALL
     SELECT 'check', n.conname::text, pg_catalog.pg_get_constraintdef(n.oid), n.conrelid::regclass::text, NULL, n.convalidated
       FROM me, pg_catalog.pg_constraint n WHERE n.conrelid = $1 AND n.contype = 'c' AND me.attnum = ANY (n.conkey)
     UNION ALL
     SELECT 'foreign key', n.conname::text, pg_catalog.pg_get_constraintdef(n.oid), n.conrelid::regclass::text, NULL, n.convalidated
       FROM me, pg_catalog.pg_constraint n
      WHERE n.contype = 'f' AND n.conparentid = 0
        AND (n.conrelid = $1 AND me.attnum = ANY (n.conkey) OR n.confrelid = $1 AND me.attnum = ANY (n.confkey))
     UNION ALL
     SELECT CASE n.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' ELSE 'index' END, c.relname::text,
            pg_catalog.substr(d.def, pg_catalog.length(pg_catalog.format('CREATE %sINDEX %I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname)) + 1)
              || CASE WHEN t.spcname IS NULL THEN '' ELSE pg_catalog.format(' TABLESPACE %I', t.spcname) END
              || CASE WHEN i.indpred IS NULL THEN '' ELSE ' WHERE ' || pg_catalog.pg_get_expr(i.indpred, i.indrelid) END,
            pg_catalog.format('%I', s.nspname), pg_catalog.concat_ws(',', CASE WHEN i.indisunique THEN 'unique' END, CASE WHEN i.indisclustered THEN 'clustered' END), i.indisvalid
       FROM me, pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
       LEFT JOIN pg_catalog.pg_constraint n ON n.conindid = i.indexrelid AND n.contype IN ('p', 'u')
      CROSS JOIN LATERAL (SELECT CASE WHEN i.indpred IS NULL THEN g.def ELSE pg_catalog.left(g.def,
                              -pg_catalog.length(' WHERE ' || pg_catalog.pg_get_expr(i.indpred, i.indrelid))) END
                            FROM (SELECT pg_catalog.pg_get_indexdef(i.indexrelid)) g(def)) d(def)
      WHERE i.indrelid = $1 AND EXISTS (
            SELECT FROM pg_catalog.pg_depend p WHERE p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = $1 AND p.refobjsubid = me.attnum
               AND (p.classid = 'pg_catalog.pg_class'::regclass AND p.objid = i.indexrelid OR p.classid = 'pg_catalog.pg_constraint'::regclass AND p.objid = n.oid))
     UNION ALL
     SELECT 'statistics', x.stxname::text,
            pg_catalog.substr(pg_catalog.pg_get_statisticsobjdef(x.oid), pg_catalog.length(pg_catalog.format('CREATE STATISTICS %I.%I', s.nspname, x.stxname)) + 1),
            pg_catalog.format('%I', s.nspname), nullif(x.stxstattarget, -1)::text, true
       FROM me, pg_catalog.pg_statistic_ext x JOIN pg_catalog.pg_namespace s ON s.oid = x.stxnamespace
      WHERE x.stxrelid = $1 AND EXISTS (
            SELECT FROM pg_catalog.pg_depend p WHERE p.classid = 'pg_catalog.pg_statistic_ext'::regclass AND p.objid = x.oid
               AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = $1 AND p.refobjsubid = me.attnum)
     UNION ALL
     SELECT 'default', '', pg_catalog.pg_get_expr(d.adbin, d.adrelid), '', NULL, true
       FROM me JOIN pg_catalog.pg_attrdef d ON d.adrelid = $1 AND d.adnum = me.attnum WHERE me.attgenerated = ''
     UNION ALL
     SELECT 'sequence', '', d.objid::regclass::text, '', NULL, true
       FROM me JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = me.attnum
       JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S' WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a'
     UNION ALL
     SELECT 'comment', k.kind, pg_catalog.quote_literal(o.description), k.name, NULL, true
       FROM me CROSS JOIN LATERAL (
            SELECT 'INDEX' AS kind, c.relname::text AS name, 'pg_catalog.pg_class'::regclass AS class, c.oid
              FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1
            UNION ALL SELECT 'CONSTRAINT', n.conname::text, 'pg_catalog.pg_constraint'::regclass, n.oid FROM pg_catalog.pg_constraint n WHERE n.conrelid = $1
            UNION ALL SELECT 'STATISTICS', x.stxname::text, 'pg_catalog.pg_statistic_ext'::regclass, x.oid FROM pg_catalog.pg_statistic_ext x WHERE x.stxrelid = $1) k
       JOIN pg_catalog.pg_description o ON o.classoid = k.class AND o.objoid = k.oid AND o.objsubid = 0
     UNION ALL
     SELECT 'index statistics', c.relname::text, pg_catalog.format('ALTER COLUMN %s SET STATISTICS %s', a.attnum, a.attstattarget), '', NULL, true
       FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid
      WHERE i.indrelid = $1 AND a.attstattarget >= 0";

/// All of it. The table is locked by the caller.
pub fn read(texts: &Texts) -> Result<Vec<Fact>> {
    transaction::in_undone_subtransaction(|| {
        texts.have_source_named_as_copy()?;
        transaction::advance();
        spi::select(
            FACTS,
            &[bind(texts.table_id), bind(texts.copy.as_str())],
            |row| {
                Ok(Fact {
                    kind: row.require(1)?,
                    name: row.require(2)?,
                    definition: row.require(3)?,
                    table: row.require(4)?,
                    extra: row.get(5)?,
                    validated: row.require(6)?,
                })
            },
        )
    })
}
