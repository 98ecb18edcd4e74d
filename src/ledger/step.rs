//! Steps: one row an attempt; what they leave in belay.applied.

use belay_core::plan::Direction;
use pgrx::datum::TimestampWithTimeZone;

use super::Ledger;
use super::project::Project;
use super::registry::Text;
use crate::error::{Failure, Result, ServerError};
use crate::pg::row::Field;
use crate::pg::spi::bind;
use crate::pg::table::{self, Table};
use crate::pg::{client, identity};

/// What every row about one attempt needs.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The run.
    pub run: i64,
    /// The project.
    pub project: &'a Project,
    /// The migration's id.
    pub migration: i64,
    /// Its name.
    pub name: &'a str,
    /// Which way.
    pub direction: Direction,
    /// The text that runs.
    pub text: &'a Text,
    /// search_path at its beginning.
    pub search_path: String,
    /// When it began.
    pub started_at: TimestampWithTimeZone,
    /// Number of statements.
    pub statements: i32,
}

/// Where a step failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Statement, from 1; `None` = while parsing or committing.
    pub statement: Option<i32>,
    /// Line of the file, or of the registered text, from 1.
    pub line: Option<i32>,
}

impl Ledger {
    /// A transactional migration was applied: its step and its place in the applied set.
    pub fn record_applied(&self, attempt: &Attempt<'_>) -> Result<()> {
        let schema = self.installed.schema;
        let id = table::next_value(schema, c"step_id_seq")?;
        Table::open_to_write(schema, c"step")?.insert(&[
            (c"id", Field::Big(id)),
            (c"run_id", Field::Big(attempt.run)),
            (c"project_id", Field::Int(attempt.project.id)),
            (c"migration_id", Field::Big(attempt.migration)),
            (c"name", Field::Text(attempt.name)),
            (c"direction", Field::Text("up")),
            (c"definition_id", Field::Big(attempt.text.definition_id)),
            (c"checksum", Field::Text(&attempt.text.checksum)),
            (c"search_path", Field::Text(&attempt.search_path)),
            (c"started_at", Field::Time(attempt.started_at)),
            (c"finished_at", Field::Time(client::now())),
            (c"outcome", Field::Text("applied")),
            (c"statements", Field::Int(attempt.statements)),
        ])?;
        Table::open_to_write(schema, c"applied")?.insert(&[
            (c"migration_id", Field::Big(attempt.migration)),
            (c"project_id", Field::Int(attempt.project.id)),
            (c"sort_key", Field::Bytes(&attempt.text.sort_key)),
            (
                c"position",
                Field::Big(table::next_value(schema, c"ledger_clock")?),
            ),
            (c"step_id", Field::Big(id)),
            (c"checksum", Field::Text(&attempt.text.checksum)),
            (c"applied_at", Field::Time(client::now())),
            (
                c"applied_by",
                Field::Name(&identity::role_name(identity::current_role())),
            ),
        ])
    }

    /// A transactional migration was reverted.
    pub fn record_reverted(&self, attempt: &Attempt<'_>) -> Result<()> {
        const SQL: &str = "WITH s AS (
                 INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id, checksum,
                        search_path, started_at, finished_at, outcome, statements)
                 VALUES ($1, $2, $3, $4, 'down', $5, $6, $7, $8, pg_catalog.clock_timestamp(), 'reverted', $9)
               )
               DELETE FROM belay.applied WHERE migration_id = $3";
        self.execute(
            SQL,
            &[
                bind(attempt.run),
                bind(attempt.project.id),
                bind(attempt.migration),
                bind(attempt.name),
                bind(attempt.text.definition_id),
                bind(attempt.text.checksum.as_str()),
                bind(attempt.search_path.as_str()),
                bind(attempt.started_at),
                bind(attempt.statements),
            ],
        )?;
        Ok(())
    }

    /// An attempt that left nothing behind: it failed, or its run was rolled back.
    pub fn record_undone(
        &self,
        attempt: &Attempt<'_>,
        place: Place,
        failure: Option<&Failure>,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id,
                      checksum, search_path, started_at, finished_at, outcome, statement, statements, sqlstate)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, pg_catalog.clock_timestamp(), $10, $11, $12, $13)
               RETURNING id";
        let outcome = if failure.is_some() {
            "failed"
        } else {
            "rolled back"
        };
        let arguments = [
            bind(attempt.run),
            bind(attempt.project.id),
            bind(attempt.migration),
            bind(attempt.name),
            bind(attempt.direction.to_string()),
            bind(attempt.text.definition_id),
            bind(attempt.text.checksum.as_str()),
            bind(attempt.search_path.as_str()),
            bind(attempt.started_at),
            bind(outcome),
            bind(place.statement),
            bind(attempt.statements),
            bind(failure.map(Failure::sqlstate)),
        ];
        let id = self.write(SQL, &arguments, |row| row.require::<i64>(1))?;
        match (failure, id.first()) {
            (Some(failure), Some(id)) => self.record_error(*id, place, failure),
            _ => Ok(()),
        }
    }

    /// A non-transactional migration begins, or goes on: its step is visible from now on.
    pub fn open_step(&self, attempt: &Attempt<'_>) -> Result<i64> {
        const SQL: &str = "INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id,
                      checksum, search_path, started_at, statements)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
        let arguments = [
            bind(attempt.run),
            bind(attempt.project.id),
            bind(attempt.migration),
            bind(attempt.name),
            bind(attempt.direction.to_string()),
            bind(attempt.text.definition_id),
            bind(attempt.text.checksum.as_str()),
            bind(attempt.search_path.as_str()),
            bind(attempt.started_at),
            bind(attempt.statements),
        ];
        let id = self.write(SQL, &arguments, |row| row.require::<i64>(1))?;
        Ok(id.first().copied().unwrap_or_default())
    }

    /// A non-transactional migration has ended well.
    pub fn close_step(&self, attempt: &Attempt<'_>, step: i64) -> Result<()> {
        const CLOSE: &str =
            "UPDATE belay.step SET finished_at = pg_catalog.clock_timestamp(), outcome = $2
              WHERE id = $1";
        const APPLY: &str = "INSERT INTO belay.applied (migration_id, project_id, step_id, checksum, applied_by, sort_key)
               VALUES ($1, $2, $3, $4, $5::text::name, $6)";
        const REVERT: &str = "DELETE FROM belay.applied WHERE migration_id = $1";
        match attempt.direction {
            Direction::Up => {
                self.execute(CLOSE, &[bind(step), bind("applied")])?;
                let role = identity::role_name(identity::current_role());
                self.execute(
                    APPLY,
                    &[
                        bind(attempt.migration),
                        bind(attempt.project.id),
                        bind(step),
                        bind(attempt.text.checksum.as_str()),
                        bind(role),
                        bind(attempt.text.sort_key.as_slice()),
                    ],
                )?;
            }
            Direction::Down => {
                self.execute(CLOSE, &[bind(step), bind("reverted")])?;
                self.execute(REVERT, &[bind(attempt.migration)])?;
            }
        }
        Ok(())
    }

    /// A non-transactional migration has failed at a statement.
    pub fn fail_step(&self, step: i64, place: Place, failure: &Failure) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.step SET finished_at = pg_catalog.clock_timestamp(), outcome = 'failed',
                      statement = $2, sqlstate = $3 WHERE id = $1";
        self.execute(
            SQL,
            &[bind(step), bind(place.statement), bind(failure.sqlstate())],
        )?;
        self.record_error(step, place, failure)
    }

    fn record_error(&self, step: i64, place: Place, failure: &Failure) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.step_error (step_id, sqlstate, message, detail, hint, context, statement, line,
                      query, position, schema_name, table_name, column_name, datatype_name, constraint_name)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
        let said = failure.said();
        let server = match failure {
            Failure::Server(error) => Some(error),
            Failure::Own(_) => None,
        };
        let field = |field: fn(&ServerError) -> Option<&str>| bind(server.and_then(|e| field(e)));
        self.execute(
            SQL,
            &[
                bind(step),
                bind(failure.sqlstate()),
                bind(said.message),
                bind(said.detail),
                bind(said.hint),
                bind(said.context),
                bind(place.statement),
                bind(place.line),
                field(|e| e.internal_query.as_deref()),
                bind(
                    server
                        .map(|e| e.internal_position)
                        .filter(|position| *position > 0),
                ),
                field(|e| e.schema.as_deref()),
                field(|e| e.table.as_deref()),
                field(|e| e.column.as_deref()),
                field(|e| e.datatype.as_deref()),
                field(|e| e.constraint.as_deref()),
            ],
        )?;
        Ok(())
    }

    /// Announces a committed step to whoever listens; names only.
    pub fn announce(&self, attempt: &Attempt<'_>, outcome: &str) {
        if crate::guc::notify() {
            let payload = serde_json::json!({
                "project": attempt.project.name,
                "migration": attempt.name,
                "direction": attempt.direction.to_string(),
                "outcome": outcome,
                "run": attempt.run,
            });
            client::notify("belay", &payload.to_string());
        }
    }
}
