//! `belay.job`: what is to be done beyond the call, and how far it is.
//!
//! Every change of a state is one compare-and-set; the catalog's trigger refuses what its table of transitions does not have.

pub mod batches;
pub mod due;
pub mod health;
pub mod progress;
pub mod registry;

use belay_core::job::state::State;
use pgrx::JsonB;
use serde_json::Value;

use super::Ledger;
use super::project::Project;
use crate::error::{Code, Failure, Result};
use crate::pg::spi::{Row, bind};

/// A job, without what it runs.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// Its project's number.
    pub project_id: i32,
    /// And name.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// The operation in hand, from 0; all of them: it is done.
    pub operation: i32,
    /// How many operations there are.
    pub operations: i32,
    /// Whether it is stopped with a rollback.
    pub with_rollback: bool,
    /// Whether the last load did not hold it.
    pub missing: bool,
    /// The registrant.
    pub role: String,
    /// As whom its worker connects.
    pub session_role: String,
    /// Under which it runs.
    pub search_path: String,
    /// The first release that may run it.
    pub min_release: Option<String>,
    /// The last one.
    pub max_release: Option<String>,
    /// Jobs that have to be completed first.
    pub depends_on: Vec<String>,
    /// Of its definition.
    pub checksum: String,
    /// Whether it came by a load.
    pub loaded: bool,
}

/// A query for whole jobs.
macro_rules! job_query {
    ($rest:literal) => {
        concat!(
            "SELECT j.id, j.project_id, p.name, j.name, j.state, j.operation, j.operations, j.with_rollback, j.missing, j.role::text,
                    j.session_role::text, j.search_path, j.min_release, j.max_release, j.depends_on, j.checksum, j.loaded
               FROM belay.job j JOIN belay.project p ON p.id = j.project_id ",
            $rest
        )
    };
}
use job_query;

impl Job {
    fn of_row(row: &Row<'_, '_>) -> Result<Job> {
        let state: String = row.require(5)?;
        Ok(Job {
            id: row.require(1)?,
            project_id: row.require(2)?,
            project: row.require(3)?,
            name: row.require(4)?,
            state: state.parse().map_err(|()| unknown_state(&state))?,
            operation: row.require(6)?,
            operations: row.require(7)?,
            with_rollback: row.require(8)?,
            missing: row.require(9)?,
            role: row.require(10)?,
            session_role: row.require(11)?,
            search_path: row.require(12)?,
            min_release: row.get(13)?,
            max_release: row.get(14)?,
            depends_on: row.require(15)?,
            checksum: row.require(16)?,
            loaded: row.require(17)?,
        })
    }

    /// What tells it from jobs of other projects, for a command.
    pub fn arguments(&self) -> String {
        let name = pgrx::spi::quote_literal(&self.name);
        format!(
            "{name}{}",
            crate::engine::planning::project_argument(&self.project)
        )
    }
}

fn unknown_state(state: &str) -> Failure {
    Failure::new(
        Code::Internal,
        format!("a job is in state \"{state}\", which this version does not know"),
        "report this with the server's log",
    )
}

impl Ledger {
    /// The job of that name, held until the transaction ends.
    pub fn lock_job(&self, project: &Project, name: &str) -> Result<Option<Job>> {
        const SQL: &str =
            job_query!("WHERE j.project_id = $1 AND j.name = $2 FOR NO KEY UPDATE OF j");
        let found = self.write(SQL, &[bind(project.id), bind(name)], |row| {
            Job::of_row(&row)
        })?;
        Ok(found.into_iter().next())
    }

    /// The job of that number, held until the transaction ends.
    pub fn lock_job_by_id(&self, id: i64) -> Result<Option<Job>> {
        const SQL: &str = job_query!("WHERE j.id = $1 FOR NO KEY UPDATE OF j");
        let found = self.write(SQL, &[bind(id)], |row| Job::of_row(&row))?;
        Ok(found.into_iter().next())
    }

    /// The job of that number, as it is committed.
    pub fn job(&self, id: i64) -> Result<Option<Job>> {
        const SQL: &str = job_query!("WHERE j.id = $1");
        self.select_one(SQL, &[bind(id)], |row| Job::of_row(&row))
    }

    /// All jobs of a project, by name.
    pub fn jobs(&self, project: &Project) -> Result<Vec<Job>> {
        const SQL: &str = job_query!("WHERE j.project_id = $1 ORDER BY j.name");
        // As a writing query: it sees what this transaction has registered.
        self.write(SQL, &[bind(project.id)], |row| Job::of_row(&row))
    }

    /// Whether a project has any.
    pub fn has_jobs(&self, project: &Project) -> Result<bool> {
        const SQL: &str = "SELECT EXISTS (SELECT FROM belay.job WHERE project_id = $1)";
        let found = self.select_one(SQL, &[bind(project.id)], |row| row.require(1))?;
        Ok(found.unwrap_or(false))
    }

    /// Definition and parameters of a job.
    pub fn job_definition(&self, id: i64) -> Result<(Value, Value)> {
        const SQL: &str =
            "SELECT d.definition, d.parameters FROM belay.job_definition d WHERE d.job_id = $1";
        let found = self.select_one(SQL, &[bind(id)], |row| {
            let json = |value: Option<JsonB>| value.map_or(Value::Null, |json| json.0);
            Ok((json(row.get(1)?), json(row.get(2)?)))
        })?;
        found.ok_or_else(|| {
            Failure::new(
                Code::Internal,
                "a job has no definition",
                "SELECT belay.job_unregister(name) takes it out; register it again",
            )
        })
    }

    /// Brings a job from one state to another, if it is in that one. What belongs to the way that begins or ends is set with it.
    pub fn move_job(&self, id: i64, from: State, to: State) -> Result<bool> {
        const SQL: &str = "UPDATE belay.job j SET state = $3, waits_for = NULL,
                operation = CASE WHEN $3 IN ('starting', 'rolled_back') THEN 0
                                 WHEN $3 = 'rolling_back' THEN greatest(0, least(j.operation, j.operations - 1)) ELSE j.operation END,
                percent = CASE WHEN $3 IN ('starting', 'rolled_back') THEN 0 WHEN $3 = 'completed' THEN 100 ELSE j.percent END,
                rows = CASE WHEN $3 = 'starting' THEN 0 ELSE j.rows END,
                passed = CASE WHEN $3 IN ('starting', 'rolling_back', 'rolled_back', 'completed') THEN 0 ELSE j.passed END,
                estimate = CASE WHEN $3 IN ('starting', 'rolling_back', 'rolled_back', 'completed') THEN NULL ELSE j.estimate END,
                started_at = CASE WHEN $3 = 'starting' THEN pg_catalog.clock_timestamp() ELSE j.started_at END,
                finished_at = CASE WHEN $3 IN ('completed', 'rolled_back', 'failed_at_startup') THEN pg_catalog.clock_timestamp()
                                   WHEN $3 IN ('starting', 'running', 'rolling_back') THEN NULL ELSE j.finished_at END,
                note = CASE WHEN $3 = 'starting' THEN NULL ELSE j.note END
              WHERE j.id = $1 AND j.state = $2";
        let moved = self.execute(SQL, &[bind(id), bind(from.word()), bind(to.word())])?;
        Ok(moved == 1)
    }

    /// Nobody has taken it up in its present state yet; whether it is stopped with a rollback.
    pub fn hand_over_job(&self, id: i64, with_rollback: bool) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET pid = NULL, with_rollback = $2 WHERE id = $1";
        self.execute(SQL, &[bind(id), bind(with_rollback)])?;
        Ok(())
    }

    /// Keeps what a start was given.
    pub fn set_job_parameters(&self, id: i64, parameters: Value) -> Result<()> {
        const SQL: &str = "UPDATE belay.job_definition SET parameters = $2 WHERE job_id = $1";
        self.execute(SQL, &[bind(id), bind(JsonB(parameters))])?;
        Ok(())
    }

    /// Why it counts as completed.
    pub fn note_job(&self, id: i64, note: &str) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET note = $2 WHERE id = $1";
        self.execute(SQL, &[bind(id), bind(note)])?;
        Ok(())
    }
}
