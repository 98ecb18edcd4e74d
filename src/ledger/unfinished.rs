//! Where a non-transactional migration stands between its first statement and its last.

use belay_core::plan::Direction;
use pgrx::JsonB;
use serde_json::Value as JsonValue;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::spi::bind;

/// A row of belay.unfinished.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The next statement, from 1.
    pub statement: i32,
    /// Whether it was begun and commits by itself.
    pub started: bool,
    /// What it leaves behind when it dies.
    pub leaves: Option<JsonValue>,
    /// Checksums of the statements that are committed.
    pub done: Vec<String>,
}

/// The migration of a project that has begun and not ended.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// Its name.
    pub name: String,
    /// Which way it went.
    pub direction: Direction,
    /// How many statements it had.
    pub statements: i32,
    /// Where it stands.
    pub progress: Progress,
}

impl Ledger {
    /// The migration that is unfinished in a project, of which there is at most one.
    pub fn stopped(&self, project: &Project) -> Result<Option<Stopped>> {
        const SQL: &str =
            "SELECT m.name, u.direction::text, coalesce(s.statements, 0), u.statement, u.started, u.leaves, u.done
               FROM belay.unfinished u
               JOIN belay.migration m ON m.id = u.migration_id
               JOIN belay.step s ON s.id = u.step_id
              WHERE u.project_id = $1";
        self.select_one(SQL, &[bind(project.id)], |row| {
            Ok(Stopped {
                name: row.require(1)?,
                direction: match row.require::<String>(2)?.as_str() {
                    "down" => Direction::Down,
                    _ => Direction::Up,
                },
                statements: row.require(3)?,
                progress: Progress {
                    statement: row.require(4)?,
                    started: row.require(5)?,
                    leaves: row.get::<JsonB>(6)?.map(|leaves| leaves.0),
                    done: row.require(7)?,
                },
            })
        })
    }

    /// The texts of a migration that have run in that direction, newest first.
    pub fn texts_that_ran(&self, migration: i64, direction: Direction) -> Result<Vec<String>> {
        const SQL: &str = "SELECT CASE $2 WHEN 'up' THEN d.up ELSE d.down END
               FROM belay.definition d
              WHERE d.id IN (SELECT s.definition_id FROM belay.step s WHERE s.migration_id = $1 AND s.direction = $2)
              ORDER BY d.id DESC";
        let arguments = [bind(migration), bind(direction.to_string())];
        let texts = self.select(SQL, &arguments, |row| row.get::<String>(1))?;
        Ok(texts.into_iter().flatten().collect())
    }

    /// The progress of a migration that has begun.
    pub fn progress(&self, migration: i64) -> Result<Option<Progress>> {
        const SQL: &str =
            "SELECT statement, started, leaves, done FROM belay.unfinished WHERE migration_id = $1";
        self.select_one(SQL, &[bind(migration)], |row| {
            Ok(Progress {
                statement: row.require(1)?,
                started: row.require(2)?,
                leaves: row.get::<JsonB>(3)?.map(|leaves| leaves.0),
                done: row.require(4)?,
            })
        })
    }

    /// A migration begins, or a new step goes on with it.
    pub fn begin_progress(
        &self,
        project: &Project,
        migration: i64,
        step: i64,
        direction: Direction,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.unfinished (migration_id, project_id, step_id, direction, statement, started)
               VALUES ($1, $2, $3, $4, 1, false)
               ON CONFLICT (migration_id) DO UPDATE SET step_id = excluded.step_id";
        self.execute(
            SQL,
            &[
                bind(migration),
                bind(project.id),
                bind(step),
                bind(direction.to_string()),
            ],
        )?;
        Ok(())
    }

    /// A statement that commits by itself is about to begin.
    pub fn note_intent(&self, migration: i64, leaves: Option<JsonValue>) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.unfinished SET started = true, leaves = $2 WHERE migration_id = $1";
        self.execute(SQL, &[bind(migration), bind(leaves.map(JsonB))])?;
        Ok(())
    }

    /// The statement that was begun has failed for sure: it may simply be repeated.
    pub fn forget_intent(&self, migration: i64) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.unfinished SET started = false, leaves = NULL WHERE migration_id = $1";
        self.execute(SQL, &[bind(migration)])?;
        Ok(())
    }

    /// The statement that was begun has raised an error; what it left is looked up on resume. An
    /// index that is invalid now is its own, also when somebody makes it valid.
    pub fn note_failed(&self, migration: i64) -> Result<()> {
        const SQL: &str = "UPDATE belay.unfinished u
                SET leaves = u.leaves || pg_catalog.jsonb_build_object('failed', true, 'left', EXISTS (
                    SELECT FROM pg_catalog.pg_index i
                      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
                      JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
                     WHERE NOT i.indisvalid AND c.relname = u.leaves ->> 'name' AND s.nspname = u.leaves ->> 'schema'))
              WHERE u.migration_id = $1 AND u.started";
        self.execute(SQL, &[bind(migration)])?;
        Ok(())
    }

    /// An operator says which statements have run.
    pub fn set_progress(&self, migration: i64, done: &[String]) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.unfinished SET statement = cardinality($2::text[]) + 1, started = false,
                      leaves = NULL, done = $2 WHERE migration_id = $1";
        self.execute(SQL, &[bind(migration), bind(done.to_vec())])?;
        Ok(())
    }

    /// A statement is committed with this row.
    pub fn note_done(&self, migration: i64, checksum: &str) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.unfinished SET statement = statement + 1, started = false, leaves = NULL,
                      done = done || $2 WHERE migration_id = $1";
        self.execute(SQL, &[bind(migration), bind(checksum)])?;
        Ok(())
    }

    /// The migration has ended.
    pub fn end_progress(&self, migration: i64) -> Result<()> {
        const SQL: &str = "DELETE FROM belay.unfinished WHERE migration_id = $1";
        self.execute(SQL, &[bind(migration)])?;
        Ok(())
    }
}
