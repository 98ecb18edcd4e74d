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

impl Ledger {
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

    /// The statement that was begun has raised an error; what it left is looked up on resume.
    pub fn note_failed(&self, migration: i64) -> Result<()> {
        const SQL: &str = "UPDATE belay.unfinished SET leaves = leaves || '{\"failed\": true}'
              WHERE migration_id = $1 AND started";
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
