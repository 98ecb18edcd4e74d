//! What changes the registry: definitions come, are replaced, renamed and removed.

use std::ffi::CStr;

use pgrx::Json;
use serde_json::json;

use super::{NewMigration, release_of};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::row::Field;
use crate::pg::spi::bind;
use crate::pg::table::{self, Table};
use crate::pg::{client, identity};

impl Ledger {
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
                        down_transaction bool, requires text[], pairs_with text, indivisible bool, up_lock_timeout int, down_lock_timeout int,
                        up_lock_retries int, down_lock_retries int,
                        privileged bool, up_privileged bool, down_privileged bool, privileged_said bool, waivers text[])
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
                        up_lock_retries = r.up_lock_retries, down_lock_retries = r.down_lock_retries,
                        privileged = r.privileged, up_privileged = r.up_privileged,
                        down_privileged = r.down_privileged, privileged_said = r.privileged_said, waivers = r.waivers,
                        loaded = m.loaded OR $3, missing = false,
                        registered_by = $4::text::name, registered_at = pg_catalog.clock_timestamp()
                   FROM r WHERE m.project_id = $1 AND m.name = r.name
               )
               SELECT old FROM r";
        let registrant = identity::role_name(identity::current_role());
        let arguments = [
            bind(project.id),
            bind(Json(rows(new))),
            bind(loaded),
            bind(registrant),
        ];
        let old = self.write(SQL, &arguments, |row| row.require::<i64>(1))?;
        self.sweep_definitions(old)
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
        let old = self.write(SQL, &[bind(project.id), bind(names.to_vec())], |row| {
            row.require::<i64>(1)
        })?;
        self.sweep_definitions(old)
    }

    /// Deletes, of these definitions, those that are neither registered nor part of the history.
    pub(in crate::ledger) fn sweep_definitions(&self, definitions: Vec<i64>) -> Result<()> {
        const SQL: &str = "DELETE FROM belay.definition d WHERE d.id = ANY ($1)
                AND NOT EXISTS (SELECT FROM belay.step s WHERE s.definition_id = d.id)
                AND NOT EXISTS (SELECT FROM belay.migration m WHERE m.definition_id = d.id)";
        self.execute(SQL, &[bind(definitions)])?;
        Ok(())
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
}

impl NewMigration {
    fn phase(&self) -> Option<String> {
        self.release.as_ref().map(|(_, phase)| phase.to_string())
    }
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
    let integer_or_null = |number: Option<i32>| number.map_or(Field::Null, Field::Int);
    let known = |said: Option<bool>| said.map_or(Field::Null, Field::Bool);
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
        (
            c"up_lock_timeout",
            integer_or_null(attributes.up_lock_timeout),
        ),
        (
            c"down_lock_timeout",
            integer_or_null(attributes.down_lock_timeout),
        ),
        (
            c"up_lock_retries",
            integer_or_null(attributes.up_lock_retries),
        ),
        (
            c"down_lock_retries",
            integer_or_null(attributes.down_lock_retries),
        ),
        (c"privileged", Field::Bool(attributes.is_privileged())),
        (c"up_privileged", known(attributes.up_privileged)),
        (c"down_privileged", known(attributes.down_privileged)),
        (c"privileged_said", Field::Bool(attributes.privileged_said)),
        (c"waivers", Field::Texts(&attributes.waivers)),
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
        "up_lock_retries": new.attributes.up_lock_retries,
        "down_lock_retries": new.attributes.down_lock_retries,
        "privileged": new.attributes.is_privileged(),
        "up_privileged": new.attributes.up_privileged,
        "down_privileged": new.attributes.down_privileged,
        "privileged_said": new.attributes.privileged_said,
        "waivers": new.attributes.waivers,
    })
}
