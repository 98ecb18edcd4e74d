//! The statements of a change.

use pgrx::pg_sys::Oid;
use pgrx::spi::{quote_identifier, quote_literal};

use super::carry::{self, Carried};
use super::run_sql;
use crate::error::Result;
use crate::ledger::column_change::{ColumnChange, Phase};
use crate::ledger::table_column::Relation;
use crate::online::backfill::Backfill;
use crate::pg::spi::{self, Prepared, bind};
use crate::pg::sync::check_conversion;
use crate::pg::{settings, type_name};

/// The name of the trigger of a change: late among those of its kind, which fire in the order of their names.
pub fn trigger_name(change: i64) -> String {
    format!("zz_belay_sync_{change}")
}

/// What the statements of a pair are made of.
pub struct Texts {
    /// The change's number.
    pub change: i64,
    /// The table.
    pub table_id: Oid,
    /// Schema and name of the table, quoted.
    pub table: String,
    /// Its schema, quoted.
    pub schema: String,
    /// What was there first.
    pub source: String,
    /// What is added.
    pub copy: String,
    /// The copy's type; `None`: the source's.
    copy_type: Option<String>,
    /// The name of the value in the expressions.
    variable: String,
    /// Source to copy; empty = assignment.
    forth: String,
    /// Copy to source.
    back: String,
}

/// $1: the table, $2: a column. What belongs to the column itself, as commands behind `ALTER TABLE ... ALTER COLUMN`, and as commands
/// on the copy, whose name is $3 (quoted), of the table $4; $5: whether the type stays.
const ATTRIBUTES: &str = "WITH me AS (
         SELECT a.*, t.typstorage, t.typcollation FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = $1 AND a.attname = $2::text)
     SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %s SET STORAGE %s', $4, $3,
                CASE me.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
       FROM me WHERE $5 AND me.attstorage <> me.typstorage
     UNION ALL
     SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %s SET COMPRESSION %s', $4, $3, CASE me.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END)
       FROM me WHERE $5 AND me.attcompression IN ('l', 'p')
     UNION ALL
     SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %s SET STATISTICS %s', $4, $3, me.attstattarget) FROM me WHERE me.attstattarget >= 0
     UNION ALL
     SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %s SET (%s)', $4, $3, pg_catalog.string_agg(o, ', '))
       FROM me, pg_catalog.unnest(me.attoptions) o WHERE o LIKE 'n\\_distinct%' HAVING pg_catalog.count(*) > 0
     UNION ALL
     SELECT pg_catalog.format('COMMENT ON COLUMN %s.%s IS %L', $4, $3, d.description)
       FROM me JOIN pg_catalog.pg_description d ON d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = $1 AND d.objsubid = me.attnum
     UNION ALL
     SELECT pg_catalog.format('GRANT %s (%s) ON %s TO %s%s', g.privilege_type, $3, $4,
                CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.format('%I', pg_catalog.pg_get_userbyid(g.grantee)) END,
                CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
       FROM me CROSS JOIN LATERAL pg_catalog.aclexplode(me.attacl) g";

/// The type with its collation, where that is not the type's own.
const DECLARED: &str = "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attcollation <> t.typcollation THEN pg_catalog.format(' COLLATE %I.%I', s.nspname, c.collname) ELSE '' END
       FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_catalog.pg_namespace s ON s.oid = c.collnamespace
      WHERE a.attrelid = $1 AND a.attname = $2::text";

/// What the server writes in `body` names what it is about with its schema; who runs it may have any search_path.
pub fn qualified<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let level = settings::open_level();
    settings::set_for_level(c"search_path", c"pg_catalog, pg_temp");
    let value = body()?;
    settings::close_level(level);
    Ok(value)
}

impl Texts {
    /// Of a change's pair; without one, of none.
    pub fn of(table: &Relation, change: &ColumnChange) -> Texts {
        let pair = change.pair.clone();
        let (source, copy) = pair.map_or_else(
            || (change.old.clone(), change.new.clone()),
            |pair| (pair.source, pair.copy),
        );
        let has_old_type = source == change.old && change.phase != Phase::New;
        let texts = change.types.as_ref();
        let text = |old_to_new: bool| {
            let expression = texts.and_then(|types| match old_to_new {
                true => types.forth.clone(),
                false => types.back.clone(),
            });
            expression.unwrap_or_default()
        };
        Texts {
            change: change.id,
            table_id: table.id,
            table: table.quoted.clone(),
            schema: table.schema.clone(),
            copy_type: texts.map(|types| match has_old_type {
                true => types.new.clone(),
                false => types.old.clone(),
            }),
            variable: change.old.clone(),
            forth: text(has_old_type),
            back: text(!has_old_type),
            source,
            copy,
        }
    }

    /// A name of what is made for the copy. What is too long keeps its beginning and a number of its own.
    pub fn own_name(&self, name: &str) -> String {
        super::clipped(&format!("belay_{}_{name}", self.change))
    }

    fn copy_quoted(&self) -> String {
        quote_identifier(&self.copy)
    }

    /// Adds the copy, with what it is put down with.
    pub fn addition(&self) -> Result<Vec<String>> {
        qualified(|| self.addition_unqualified())
    }

    fn addition_unqualified(&self) -> Result<Vec<String>> {
        let declared = match &self.copy_type {
            Some(of_type) => of_type.clone(),
            None => spi::select_one(
                DECLARED,
                &[bind(self.table_id), bind(self.source.as_str())],
                |row| row.require(1),
            )?
            .unwrap_or_default(),
        };
        let (table, copy) = (&self.table, self.copy_quoted());
        let mut statements = vec![format!("ALTER TABLE {table} ADD COLUMN {copy} {declared}")];
        let arguments = [
            bind(self.table_id),
            bind(self.source.as_str()),
            bind(copy.as_str()),
            bind(table.as_str()),
            bind(self.copy_type.is_none()),
        ];
        statements.extend(spi::select(ATTRIBUTES, &arguments, |row| {
            row.require::<String>(1)
        })?);
        Ok(statements)
    }

    /// Keeps both in step from now on, whoever writes: also what a subscription applies.
    pub fn create_trigger(&self) -> Vec<String> {
        let name = trigger_name(self.change);
        let change = self.change.to_string();
        let arguments = [
            &change,
            &self.source,
            &self.copy,
            &self.variable,
            &self.forth,
            &self.back,
        ]
        .map(quote_literal);
        vec![
            format!(
                "CREATE OR REPLACE TRIGGER {name} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION belay.sync_columns({})",
                self.table,
                arguments.join(", ")
            ),
            format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {name}", self.table),
        ]
    }

    /// From now on nothing is kept in step.
    pub fn drop_trigger(&self) -> Vec<String> {
        vec![format!(
            "DROP TRIGGER IF EXISTS {} ON {}",
            trigger_name(self.change),
            self.table
        )]
    }

    /// Rows that are not in step.
    fn out_of_step(&self) -> String {
        let (source, copy) = (quote_identifier(&self.source), self.copy_quoted());
        match self.copy_type {
            // By image: there are types without an equality.
            None => format!("pg_catalog.record_image_ne(ROW({copy}), ROW({source}))"),
            Some(_) => format!(
                "belay.is_out_of_step({}, {source}, {copy})",
                self.conversion()
            ),
        }
    }

    /// Lets the server find mistakes in the expressions: `source` is the type of the column that is there.
    pub fn check_conversions(&self) -> Result<()> {
        qualified(|| self.check_conversions_unqualified())
    }

    fn check_conversions_unqualified(&self) -> Result<()> {
        let Some(copy_type) = &self.copy_type else {
            return Ok(());
        };
        let declared = |column: &str| {
            let arguments = [bind(self.table_id), bind(column)];
            spi::select_one(DECLARED, &arguments, |row| row.require::<String>(1))
        };
        let source = declared(&self.source)?.unwrap_or_default();
        let plain = source.split(" COLLATE ").next().unwrap_or_default();
        let (source, copy) = (type_name::resolve(plain)?, type_name::resolve(copy_type)?);
        check_conversion(&self.forth, &self.variable, source, copy)?;
        check_conversion(&self.back, &self.variable, copy, source)
    }

    fn conversion(&self) -> String {
        [&self.variable, &self.forth, &self.back]
            .map(quote_literal)
            .join(", ")
    }

    /// Brings rows in step that are not: any update does, by the trigger.
    pub fn backfill(&self) -> Backfill {
        let copy = self.copy_quoted();
        Backfill {
            table: self.table_id,
            set: format!("{copy} = {copy}"),
            condition: Some(self.out_of_step()),
        }
    }

    /// How many rows are not in step.
    pub fn count_out_of_step(&self) -> Result<i64> {
        let query = format!(
            "SELECT ARRAY[pg_catalog.count(*)::text] FROM {} WHERE {}",
            self.table,
            self.out_of_step()
        );
        let found = Prepared::new(&query, 0)?.texts(&[])?;
        let count = found.and_then(|texts| texts.first()?.parse().ok());
        Ok(count.unwrap_or(0))
    }

    /// For a moment, in a subtransaction: whatever mentions the source mentions the copy's name.
    pub fn have_source_named_as_copy(&self) -> Result<()> {
        run_sql(&[
            self.rename_column(&self.copy, &self.own_name("aside")),
            self.rename_column(&self.source, &self.copy),
        ])
    }

    /// Renames a column.
    pub fn rename_column(&self, old: &str, new: &str) -> String {
        format!(
            "ALTER TABLE {} RENAME COLUMN {} TO {}",
            self.table,
            quote_identifier(old),
            quote_identifier(new)
        )
    }

    /// Takes the copy away, with all that was made for it.
    pub fn discard(&self) -> Result<Vec<String>> {
        let made = carry::collect(self)?;
        let made = made.into_iter().filter(|one| one.is_made);
        let mut statements: Vec<String> = made.filter_map(|one| one.unmake).collect();
        statements.push(format!(
            "ALTER TABLE {} DROP COLUMN {}",
            self.table,
            self.copy_quoted()
        ));
        Ok(statements)
    }

    /// The copy takes the source's place, and the source goes.
    pub fn promote(&self, made: &[Carried]) -> Vec<String> {
        let before = made.iter().flat_map(|one| one.before.iter().cloned());
        let gone = format!(
            "ALTER TABLE {} DROP COLUMN {}",
            self.table,
            quote_identifier(&self.source)
        );
        let after = made.iter().flat_map(|one| one.after.iter().cloned());
        before.chain([gone]).chain(after).collect()
    }
}
