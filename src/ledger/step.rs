//! Steps: one row an attempt; what they leave in belay.applied.

mod findings;
mod touched;

use std::ffi::CStr;

use belay_core::plan::Direction;
use pgrx::datum::TimestampWithTimeZone;

use super::Ledger;
use super::project::Project;
use super::registry::Text;
use super::rules::Made;
use crate::error::{Failure, Result, ServerError};
use crate::pg::client;
use crate::pg::row::Field;
use crate::pg::spi::bind;
use crate::pg::table::{self, Table};

pub use self::findings::Findings;
use self::touched::Objects;
pub use self::touched::Touched;

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
    /// Who runs it.
    pub role: &'a str,
    /// Number of statements.
    pub statements: i32,
    /// What it did against the contract, and what was kept of it.
    pub findings: Findings,
}

/// Where a step failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Statement, from 1; `None` = while parsing or committing.
    pub statement: Option<i32>,
    /// Line of the file, or of the registered text, from 1.
    pub line: Option<i32>,
}

/// How an attempt ended; a step that is still open has no end.
struct End<'a> {
    outcome: &'a str,
    place: Place,
    sqlstate: Option<&'a str>,
}

impl End<'_> {
    fn well(direction: Direction) -> Self {
        End {
            outcome: match direction {
                Direction::Up => "applied",
                Direction::Down => "reverted",
            },
            place: Place::default(),
            sqlstate: None,
        }
    }

    fn fields(&self) -> [(&'static CStr, Field<'_>); 4] {
        let statement = self.place.statement.map_or(Field::Null, Field::Int);
        [
            (c"finished_at", Field::Time(client::now())),
            (c"outcome", Field::Text(self.outcome)),
            (c"statement", statement),
            (c"sqlstate", self.sqlstate.map_or(Field::Null, Field::Text)),
        ]
    }
}

impl Ledger {
    /// A transactional migration was applied or reverted: its step, and what is in force now. Without a
    /// footprint it meets every other one.
    pub fn record_done(&self, attempt: &Attempt<'_>, touched: Option<Touched<'_>>) -> Result<()> {
        let end = End::well(attempt.direction);
        let objects = touched.map(Objects::of);
        let touched = objects.iter().flat_map(Objects::fields);
        let fields = end.fields().into_iter().chain(attempt.findings.fields());
        let step = self.insert_step(attempt, fields.chain(touched))?;
        self.put_in_force(attempt, step)
    }

    /// An attempt that left nothing behind: it failed, or its run was rolled back.
    pub fn record_undone(
        &self,
        attempt: &Attempt<'_>,
        place: Place,
        failure: Option<&Failure>,
    ) -> Result<()> {
        let sqlstate = failure.map(Failure::sqlstate);
        let end = End {
            outcome: match failure {
                Some(_) => "failed",
                None => "rolled back",
            },
            place,
            sqlstate: sqlstate.as_deref(),
        };
        let step = self.insert_step(attempt, end.fields())?;
        match failure {
            Some(failure) => self.record_error(step, place, failure),
            None => Ok(()),
        }
    }

    /// A non-transactional migration begins, or goes on: its step is visible from now on.
    pub fn open_step(&self, attempt: &Attempt<'_>) -> Result<i64> {
        self.insert_step(attempt, attempt.findings.fields())
    }

    /// A non-transactional migration has ended well.
    pub fn close_step(&self, attempt: &Attempt<'_>, step: i64, touched: Touched<'_>) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.step SET finished_at = pg_catalog.clock_timestamp(), outcome = $2,
                      reads = $3, writes = $4, defines = $5, everything = $6, cumulative = $7, reported = $8
              WHERE id = $1";
        let objects = Objects::of(touched);
        let reported = &attempt.findings.reported;
        self.execute(
            SQL,
            &[
                bind(step),
                bind(End::well(attempt.direction).outcome),
                bind(objects.reads),
                bind(objects.writes),
                bind(objects.defines),
                bind(objects.everything),
                bind(objects.cumulative),
                bind((!reported.is_empty()).then(|| reported.clone())),
            ],
        )?;
        self.put_in_force(attempt, step)
    }

    fn insert_step<'f>(
        &self,
        attempt: &Attempt<'_>,
        more: impl IntoIterator<Item = (&'static CStr, Field<'f>)>,
    ) -> Result<i64> {
        let schema = self.installed.schema;
        let id = table::next_value(schema, c"step_id_seq")?;
        let direction = attempt.direction.to_string();
        let mut fields = vec![
            (c"id", Field::Big(id)),
            (c"run_id", Field::Big(attempt.run)),
            (c"project_id", Field::Int(attempt.project.id)),
            (c"migration_id", Field::Big(attempt.migration)),
            (c"name", Field::Text(attempt.name)),
            (c"direction", Field::Text(&direction)),
            (c"definition_id", Field::Big(attempt.text.definition_id)),
            (c"checksum", Field::Text(&attempt.text.checksum)),
            (c"search_path", Field::Text(&attempt.search_path)),
            (c"started_at", Field::Time(attempt.started_at)),
            (c"statements", Field::Int(attempt.statements)),
        ];
        for field in more {
            fields.push(field);
        }
        Table::open_to_write(schema, c"step")?.insert(&fields)?;
        Ok(id)
    }

    /// belay.applied after a step that ended well.
    fn put_in_force(&self, attempt: &Attempt<'_>, step: i64) -> Result<()> {
        if attempt.direction == Direction::Down {
            const REVERT: &str = "DELETE FROM belay.applied WHERE migration_id = $1";
            self.execute(REVERT, &[bind(attempt.migration)])?;
            return Ok(());
        }
        let schema = self.installed.schema;
        let position = table::next_value(schema, c"ledger_clock")?;
        let row = [
            (c"migration_id", Field::Big(attempt.migration)),
            (c"project_id", Field::Int(attempt.project.id)),
            (c"sort_key", Field::Bytes(&attempt.text.sort_key)),
            (c"position", Field::Big(position)),
            (c"step_id", Field::Big(step)),
            (c"checksum", Field::Text(&attempt.text.checksum)),
            (c"applied_at", Field::Time(client::now())),
            (c"applied_by", Field::Name(attempt.role)),
        ];
        let made = Made {
            step,
            migration: attempt.migration,
            run: attempt.run,
        };
        let applied = Table::open_to_write(schema, c"applied")?;
        made.by_step(|| applied.insert(&row))
    }

    /// A non-transactional migration has failed at a statement. Where its run had lost the lock, another one may
    /// have told the step as lost; then that stays.
    pub fn fail_step(&self, step: i64, place: Place, failure: &Failure) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.step SET finished_at = pg_catalog.clock_timestamp(), outcome = 'failed',
                      statement = $2, sqlstate = $3 WHERE id = $1 AND finished_at IS NULL";
        let closed = self.execute(
            SQL,
            &[bind(step), bind(place.statement), bind(failure.sqlstate())],
        )?;
        match closed {
            0 => Ok(()),
            _ => self.record_error(step, place, failure),
        }
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
