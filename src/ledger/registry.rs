//! The registry: which migrations exist, and their immutable definitions.

use std::ffi::CStr;

use belay_core::directive::Pair;
use belay_core::naming::{Phase, ReleaseName};
use belay_core::plan::{Direction, Entry};
use pgrx::Json;
use serde_json::json;

use super::Ledger;
use super::facts::Traits;
use super::project::Project;
use crate::error::Result;
use crate::pg::row::{self as stored, Field};
use crate::pg::spi::{Row, bind};
use crate::pg::table::{self, Table};
use crate::pg::{cancel, client, identity};

/// A registered migration, as far as a load compares it.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its place in the order.
    pub sort_key: Vec<u8>,
    /// Checksum of its definition.
    pub checksum: String,
    /// Whether it is in force.
    pub applied: bool,
    /// Whether it came by a load.
    pub loaded: bool,
    /// Whether the last load lacked it.
    pub missing: bool,
    /// Whether a non-transactional run of it has begun and not ended.
    pub unfinished: bool,
    /// What the plan and the engine read from the directives, to be compared too.
    pub attributes: Attributes,
}

/// What a definition says beside its SQL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Whether up runs in a transaction.
    pub up_transaction: bool,
    /// Whether down runs in a transaction.
    pub down_transaction: bool,
    /// Names that must be applied before.
    pub requires: Vec<String>,
    /// The other half of a pair.
    pub pairs_with: Option<String>,
    /// Whether a down may split the pair.
    pub indivisible: bool,
    /// Of up, in milliseconds; `None` = belay.lock_timeout.
    pub up_lock_timeout: Option<i32>,
    /// Of down, in milliseconds; `None` = belay.lock_timeout.
    pub down_lock_timeout: Option<i32>,
}

/// A definition to be stored.
#[derive(Debug, Clone)]
pub struct NewMigration {
    /// The name.
    pub name: String,
    /// Its place in the order.
    pub sort_key: Vec<u8>,
    /// Release and phase, where the naming has them.
    pub release: Option<(String, Phase)>,
    /// Checksum over the tokens of both texts.
    pub checksum: String,
    /// The text of up.
    pub up: String,
    /// The text of down.
    pub down: Option<String>,
    /// The file up came from, and the line at which it begins there.
    pub up_origin: (Option<String>, i32),
    /// The same of down.
    pub down_origin: (Option<String>, i32),
    /// The directives.
    pub attributes: Attributes,
}

impl NewMigration {
    fn phase(&self) -> Option<String> {
        self.release.as_ref().map(|(_, phase)| phase.to_string())
    }
}

/// The text of one direction of a definition, about to run.
#[derive(Debug, Clone)]
pub struct Text {
    /// Its definition's id.
    pub definition_id: i64,
    /// Checksum of the definition.
    pub checksum: String,
    /// The SQL; `None` = no down.
    pub sql: Option<String>,
    /// The file it came from.
    pub file: Option<String>,
    /// The line of that file at which the text begins.
    pub line: i32,
    /// Milliseconds; `None` = belay.lock_timeout.
    pub lock_timeout: Option<i32>,
    /// The migration's place in the order.
    pub sort_key: Vec<u8>,
}

/// The columns an [`Entry`] is made of, in the order of [`entry_from`]; `m` is belay.migration.
macro_rules! entry_columns {
    () => {
        "m.id, m.name, m.sort_key, m.requires, m.pairs_with, m.indivisible, m.reversible, m.release, m.phase, m.registered_by::text, m.up_transaction, m.down_transaction, m.definition_id"
    };
}
pub(super) use entry_columns;

/// A planner's entry and what else is known of it.
pub(super) fn entry_from(row: &Row<'_, '_>) -> Result<(Entry, Traits)> {
    let pair: Option<String> = row.get(5)?;
    let indivisible = row.require(6)?;
    let release: Option<String> = row.get(8)?;
    let phase: Option<String> = row.get(9)?;
    let entry = Entry {
        id: row.require(1)?,
        name: row.require(2)?,
        key: row.require(3)?,
        requires: row.require(4)?,
        pair: pair.map(|name| Pair { name, indivisible }),
        reversible: row.require(7)?,
        release: release.and_then(|release| release.parse().ok()),
        phase: phase.and_then(|phase| phase.parse().ok()),
    };
    let traits = Traits {
        registrant: row.require(10)?,
        up_transaction: row.require(11)?,
        down_transaction: row.require(12)?,
        definition_id: row.require(13)?,
    };
    Ok((entry, traits))
}

/// Release and phase of a name, where it has them.
pub fn release_of(name: &str) -> Option<(String, Phase)> {
    let parsed = ReleaseName::parse(name).ok()?;
    Some((parsed.release.to_string(), parsed.phase))
}

impl Ledger {
    /// Everything registered in a project, by name: what a load compares against.
    pub fn registered(&self, project: &Project) -> Result<Vec<Registered>> {
        const SQL: &str = "SELECT m.id, m.name, m.sort_key, m.checksum, a.position IS NOT NULL, m.loaded, m.missing,
                    u.migration_id IS NOT NULL, m.up_transaction, m.down_transaction, m.requires,
                    m.pairs_with, m.indivisible, m.up_lock_timeout, m.down_lock_timeout
               FROM belay.migration m
               LEFT JOIN belay.applied a ON a.migration_id = m.id
               LEFT JOIN belay.unfinished u ON u.migration_id = m.id
              WHERE m.project_id = $1";
        self.select(SQL, &[bind(project.id)], |row| registered_from(&row))
    }

    /// One registered migration, locked against a run and another registration.
    pub fn lock_registered(&self, project: &Project, name: &str) -> Result<Option<Registered>> {
        const LOCK: &str =
            "SELECT id FROM belay.migration WHERE project_id = $1 AND name = $2 FOR UPDATE";
        const SQL: &str = "SELECT m.id, m.name, m.sort_key, m.checksum, a.position IS NOT NULL, m.loaded, m.missing,
                    u.migration_id IS NOT NULL, m.up_transaction, m.down_transaction, m.requires,
                    m.pairs_with, m.indivisible, m.up_lock_timeout, m.down_lock_timeout
               FROM belay.migration m
               LEFT JOIN belay.applied a ON a.migration_id = m.id
               LEFT JOIN belay.unfinished u ON u.migration_id = m.id
              WHERE m.project_id = $1 AND m.name = $2";
        self.write(LOCK, &[bind(project.id), bind(name)], |row| {
            row.require::<i64>(1)
        })?;
        self.select_one(SQL, &[bind(project.id), bind(name)], |row| {
            registered_from(&row)
        })
    }

    /// Adds definitions under new names, in the registry's order.
    pub fn add_migrations(
        &self,
        project: &Project,
        new: &[NewMigration],
        loaded: bool,
    ) -> Result<()> {
        let schema = self.installed.schema;
        let registrant = identity::role_name(identity::current_role());
        let registered_at = client::now();
        let mut new: Vec<&NewMigration> = new.iter().collect();
        new.sort_by(|a, b| a.sort_key.cmp(&b.sort_key));
        let draw = |sequence| -> Result<Vec<i64>> {
            new.iter()
                .map(|_| table::next_value(schema, sequence))
                .collect()
        };
        let definitions = draw(c"definition_id_seq")?;
        let migrations = draw(c"migration_id_seq")?;
        let clocks = draw(c"ledger_clock")?;

        let rows = new.iter().zip(&definitions);
        Table::open_to_write(schema, c"definition")?
            .insert_all(rows.map(|(new, id)| definition_row(new, *id)))?;
        let phases: Vec<Option<String>> = new.iter().map(|new| new.phase()).collect();
        let rows = new.iter().zip(&phases).zip(&migrations).zip(&definitions);
        Table::open_to_write(schema, c"migration")?.insert_all(rows.map(
            |(((new, phase), id), definition)| {
                let mut row = migration_row(new, phase.as_deref(), *id, *definition);
                row.extend([
                    (c"project_id", Field::Int(project.id)),
                    (c"loaded", Field::Bool(loaded)),
                    (c"missing", Field::Bool(false)),
                    (c"registered_at", Field::Time(registered_at)),
                    (c"registered_by", Field::Name(&registrant)),
                ]);
                row
            },
        ))?;
        let rows = new.iter().zip(&migrations).zip(&clocks);
        Table::open_to_write(schema, c"pending")?.insert_all(rows.map(|((new, id), clock)| {
            [
                (c"migration_id", Field::Big(*id)),
                (c"project_id", Field::Int(project.id)),
                (c"sort_key", Field::Bytes(&new.sort_key)),
                (c"since", Field::Big(*clock)),
            ]
        }))
    }

    /// Gives pending migrations new definitions; definitions that no step names are deleted.
    pub fn replace_migrations(
        &self,
        project: &Project,
        new: &[NewMigration],
        loaded: bool,
    ) -> Result<()> {
        const SQL: &str = "WITH r AS MATERIALIZED (
                 SELECT r.*, pg_catalog.nextval('belay.definition_id_seq') AS definition_id, m.definition_id AS old
                   FROM pg_catalog.json_to_recordset($2) AS r(name text, checksum text, up text, down text,
                        up_file text, up_line int, down_file text, down_line int, up_transaction bool,
                        down_transaction bool, requires text[], pairs_with text, indivisible bool, up_lock_timeout int, down_lock_timeout int)
                   JOIN belay.migration m ON m.project_id = $1 AND m.name = r.name
               ), d AS (
                 INSERT INTO belay.definition (id, checksum, up, down, up_file, up_line, down_file, down_line)
                 OVERRIDING SYSTEM VALUE
                 SELECT definition_id, checksum, up, down, up_file, up_line, down_file, down_line FROM r
               ), u AS (
                 UPDATE belay.migration m SET checksum = r.checksum, definition_id = r.definition_id,
                        reversible = r.down IS NOT NULL, up_transaction = r.up_transaction,
                        down_transaction = r.down_transaction, requires = r.requires, pairs_with = r.pairs_with,
                        indivisible = r.indivisible, up_lock_timeout = r.up_lock_timeout, down_lock_timeout = r.down_lock_timeout,
                        loaded = m.loaded OR $3, missing = false,
                        registered_by = $4::text::name, registered_at = pg_catalog.clock_timestamp()
                   FROM r WHERE m.project_id = $1 AND m.name = r.name
               )
               SELECT old FROM r";
        const SWEEP: &str = "DELETE FROM belay.definition d WHERE d.id = ANY ($1)
                AND NOT EXISTS (SELECT FROM belay.step s WHERE s.definition_id = d.id)
                AND NOT EXISTS (SELECT FROM belay.migration m WHERE m.definition_id = d.id)";
        let registrant = identity::role_name(identity::current_role());
        let arguments = [
            bind(project.id),
            bind(Json(rows(new))),
            bind(loaded),
            bind(registrant),
        ];
        let old = self.write(SQL, &arguments, |row| row.require::<i64>(1))?;
        self.execute(SWEEP, &[bind(old)])?;
        Ok(())
    }

    /// Notes which migrations the last load held.
    pub fn mark_loaded(
        &self,
        project: &Project,
        held: &[String],
        missing: &[String],
    ) -> Result<()> {
        const SQL: &str = "UPDATE belay.migration SET missing = (name = ANY ($3)), loaded = loaded OR name = ANY ($2)
              WHERE project_id = $1 AND (name = ANY ($2) OR name = ANY ($3))";
        self.execute(
            SQL,
            &[
                bind(project.id),
                bind(held.to_vec()),
                bind(missing.to_vec()),
            ],
        )?;
        Ok(())
    }

    /// Removes pending migrations from the registry; their history stays.
    pub fn remove_migrations(&self, project: &Project, names: &[String]) -> Result<()> {
        const SQL: &str = "WITH gone AS (
                 DELETE FROM belay.migration WHERE project_id = $1 AND name = ANY ($2) RETURNING definition_id
               )
               SELECT definition_id FROM gone";
        const SWEEP: &str = "DELETE FROM belay.definition d WHERE d.id = ANY ($1)
                AND NOT EXISTS (SELECT FROM belay.step s WHERE s.definition_id = d.id)";
        let old = self.write(SQL, &[bind(project.id), bind(names.to_vec())], |row| {
            row.require::<i64>(1)
        })?;
        self.execute(SWEEP, &[bind(old)])?;
        Ok(())
    }

    /// The first other migration between two places in the order.
    pub fn between(
        &self,
        project: &Project,
        one: &[u8],
        other: &[u8],
        but: i64,
    ) -> Result<Option<String>> {
        const SQL: &str = "SELECT name FROM belay.migration
              WHERE project_id = $1 AND id <> $4 AND sort_key > least($2, $3) AND sort_key < greatest($2, $3)
              ORDER BY sort_key LIMIT 1";
        let arguments = [bind(project.id), bind(one), bind(other), bind(but)];
        self.select_one(SQL, &arguments, |row| row.require(1))
    }

    /// Gives a migration another name; what names it in the same project follows.
    pub fn rename_migration(&self, id: i64, name: &str, sort_key: Vec<u8>) -> Result<()> {
        const SQL: &str = "WITH p AS (UPDATE belay.pending SET sort_key = $3, since = pg_catalog.nextval('belay.ledger_clock')
                          WHERE migration_id = $1),
                    a AS (UPDATE belay.applied SET sort_key = $3 WHERE migration_id = $1),
                    me AS (SELECT project_id, name FROM belay.migration WHERE id = $1),
                    o AS (UPDATE belay.migration m
                             SET requires = pg_catalog.array_replace(m.requires, me.name, $2),
                                 pairs_with = CASE WHEN m.pairs_with = me.name THEN $2 ELSE m.pairs_with END
                            FROM me
                           WHERE m.project_id = me.project_id AND m.id <> $1
                             AND (me.name = ANY (m.requires) OR m.pairs_with = me.name))
               UPDATE belay.migration SET name = $2, sort_key = $3, release = $4, phase = $5 WHERE id = $1";
        let release = release_of(name);
        self.execute(
            SQL,
            &[
                bind(id),
                bind(name),
                bind(sort_key),
                bind(release.as_ref().map(|(release, _)| release.clone())),
                bind(release.map(|(_, phase)| phase.to_string())),
            ],
        )?;
        Ok(())
    }

    /// The text about to run; its definition is locked against replacement until the transaction ends.
    pub fn lock_text(&self, migration: i64, direction: Direction) -> Result<Option<Text>> {
        let (sql, file, line, lock_timeout) = match direction {
            Direction::Up => (c"up", c"up_file", c"up_line", c"up_lock_timeout"),
            Direction::Down => (c"down", c"down_file", c"down_line", c"down_lock_timeout"),
        };
        let schema = self.installed.schema;
        let registered = |row: &stored::Row| -> Result<(i64, Option<i32>, Vec<u8>)> {
            Ok((
                row.require(c"definition_id")?,
                row.get(lock_timeout)?,
                row.require(c"sort_key")?,
            ))
        };
        let migrations = Table::open_to_write(schema, c"migration")?;
        let found =
            cancel::allow(|| migrations.lock(c"migration_pkey", c"id", migration, registered))?
                .transpose()?;
        let Some((definition_id, lock_timeout, sort_key)) = found else {
            return Ok(None);
        };
        let text = |row: &stored::Row| -> Result<Text> {
            Ok(Text {
                definition_id,
                checksum: row.require(c"checksum")?,
                sql: row.get(sql)?,
                file: row.get(file)?,
                line: row.require(line)?,
                lock_timeout,
                sort_key: sort_key.clone(),
            })
        };
        Table::open(schema, c"definition")?
            .get(c"definition_pkey", c"id", definition_id, text)?
            .transpose()
    }
}

fn registered_from(row: &Row<'_, '_>) -> Result<Registered> {
    Ok(Registered {
        id: row.require(1)?,
        name: row.require(2)?,
        sort_key: row.require(3)?,
        checksum: row.require(4)?,
        applied: row.require(5)?,
        loaded: row.require(6)?,
        missing: row.require(7)?,
        unfinished: row.require(8)?,
        attributes: Attributes {
            up_transaction: row.require(9)?,
            down_transaction: row.require(10)?,
            requires: row.require(11)?,
            pairs_with: row.get(12)?,
            indivisible: row.require(13)?,
            up_lock_timeout: row.get(14)?,
            down_lock_timeout: row.get(15)?,
        },
    })
}

type Fields<'a> = Vec<(&'a CStr, Field<'a>)>;

fn text_or_null(text: Option<&str>) -> Field<'_> {
    text.map_or(Field::Null, Field::Text)
}

fn definition_row(new: &NewMigration, id: i64) -> Fields<'_> {
    vec![
        (c"id", Field::Big(id)),
        (c"checksum", Field::Text(&new.checksum)),
        (c"up", Field::Text(&new.up)),
        (c"down", text_or_null(new.down.as_deref())),
        (c"up_file", text_or_null(new.up_origin.0.as_deref())),
        (c"up_line", Field::Int(new.up_origin.1)),
        (c"down_file", text_or_null(new.down_origin.0.as_deref())),
        (c"down_line", Field::Int(new.down_origin.1)),
    ]
}

fn migration_row<'a>(
    new: &'a NewMigration,
    phase: Option<&'a str>,
    id: i64,
    definition: i64,
) -> Fields<'a> {
    let attributes = &new.attributes;
    let release = new.release.as_ref().map(|(release, _)| release.as_str());
    let milliseconds = |timeout: Option<i32>| timeout.map_or(Field::Null, Field::Int);
    vec![
        (c"id", Field::Big(id)),
        (c"name", Field::Text(&new.name)),
        (c"sort_key", Field::Bytes(&new.sort_key)),
        (c"release", text_or_null(release)),
        (c"phase", text_or_null(phase)),
        (c"checksum", Field::Text(&new.checksum)),
        (c"definition_id", Field::Big(definition)),
        (c"reversible", Field::Bool(new.down.is_some())),
        (c"up_transaction", Field::Bool(attributes.up_transaction)),
        (
            c"down_transaction",
            Field::Bool(attributes.down_transaction),
        ),
        (c"requires", Field::Texts(&attributes.requires)),
        (
            c"pairs_with",
            text_or_null(attributes.pairs_with.as_deref()),
        ),
        (c"indivisible", Field::Bool(attributes.indivisible)),
        (c"up_lock_timeout", milliseconds(attributes.up_lock_timeout)),
        (
            c"down_lock_timeout",
            milliseconds(attributes.down_lock_timeout),
        ),
    ]
}

fn rows(new: &[NewMigration]) -> serde_json::Value {
    new.iter().map(row).collect()
}

fn row(new: &NewMigration) -> serde_json::Value {
    json!({
        "name": new.name,
        "checksum": new.checksum,
        "up": new.up,
        "down": new.down,
        "up_file": new.up_origin.0,
        "up_line": new.up_origin.1,
        "down_file": new.down_origin.0,
        "down_line": new.down_origin.1,
        "up_transaction": new.attributes.up_transaction,
        "down_transaction": new.attributes.down_transaction,
        "requires": new.attributes.requires,
        "pairs_with": new.attributes.pairs_with,
        "indivisible": new.attributes.indivisible,
        "up_lock_timeout": new.attributes.up_lock_timeout,
        "down_lock_timeout": new.attributes.down_lock_timeout,
    })
}
