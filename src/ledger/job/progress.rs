//! How far a job is, and what went wrong in it.

use belay_core::job::state::State;

use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::pg::spi::bind;

/// Errors of a job that are kept.
const KEPT: i64 = 100;

/// Which way a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The checks.
    Start,
    /// Its operations.
    Forward,
    /// Their rollbacks.
    Rollback,
}

impl Way {
    /// As the tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Way::Start => "start",
            Way::Forward => "forward",
            Way::Rollback => "rollback",
        }
    }
}

/// What a job is not in any more; what was done for it is undone.
fn overtaken() -> Failure {
    Failure::new(
        Code::Job,
        "the job's state has changed meanwhile",
        "SELECT * FROM belay.job_status()",
    )
}

impl Ledger {
    /// This session works on it from now on.
    pub fn take_job(&self, id: i64) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET pid = pg_catalog.pg_backend_pid(), resumed_at = pg_catalog.clock_timestamp(),
                    rows_before = rows WHERE id = $1";
        self.execute(SQL, &[bind(id)])?;
        Ok(())
    }

    /// Its operation is done: written in the transaction that did it. A job that was told to pause or stop meanwhile takes it.
    pub fn advance_job(&self, id: i64, operation: i32) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET operation = operation + 1, passed = 0, estimate = NULL, waits_for = NULL,
                    percent = pg_catalog.trunc(100.0 * (operation + 1) / operations, 2)
              WHERE id = $1 AND operation = $2 AND state IN ('running', 'paused', 'stopping')";
        match self.execute(SQL, &[bind(id), bind(operation)])? {
            1 => self.forget_batches(id, Some(operation + 2)),
            _ => Err(overtaken()),
        }
    }

    /// An operation is rolled back: written in the transaction that did it.
    pub fn retreat_job(&self, id: i64, operation: i32) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET operation = operation - 1, passed = 0, estimate = NULL, waits_for = NULL,
                    percent = pg_catalog.trunc(100.0 * operation / operations, 2)
              WHERE id = $1 AND operation = $2 AND operation > 0 AND state = 'rolling_back'";
        let moved = match operation {
            0 => self.move_job(id, State::RollingBack, State::RolledBack)?,
            _ => self.execute(SQL, &[bind(id), bind(operation)])? == 1,
        };
        moved.then_some(()).ok_or_else(overtaken)
    }

    /// The percent that the job's own query says, from 0 to 100.
    pub fn note_job_percent(&self, id: i64, percent: f64) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET percent = pg_catalog.round(greatest(0, least(100, $2::numeric)), 2)
              WHERE id = $1 AND state IN ('running', 'paused', 'stopping')";
        self.execute(SQL, &[bind(id), bind(percent)])?;
        Ok(())
    }

    /// What its batches wait for; `None`: they go on.
    pub fn note_job_waits(&self, id: i64, what: Option<&str>) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.job SET waits_for = $2 WHERE id = $1 AND waits_for IS DISTINCT FROM $2";
        self.execute(SQL, &[bind(id), bind(what)])?;
        Ok(())
    }

    /// Rows that a sub-batch has passed and changed: written in its transaction.
    pub fn count_job_rows(&self, id: i64, way: Way, passed: i64, changed: i64) -> Result<()> {
        const FORWARD: &str =
            "UPDATE belay.job SET passed = passed + $2, rows = rows + $3, waits_for = NULL
              WHERE id = $1 AND state IN ('running', 'paused', 'stopping')";
        const ROLLBACK: &str = "UPDATE belay.job SET passed = passed + $2, waits_for = NULL
              WHERE id = $1 AND state = 'rolling_back' AND $3 IS NOT NULL";
        let sql = if way == Way::Rollback {
            ROLLBACK
        } else {
            FORWARD
        };
        match self.execute(sql, &[bind(id), bind(passed), bind(changed)])? {
            1 => Ok(()),
            _ => Err(overtaken()),
        }
    }

    /// Keeps an error; the oldest ones go. `operation` is counted from 0.
    pub fn record_job_error(
        &self,
        id: i64,
        operation: Option<i32>,
        way: Way,
        failure: &Failure,
    ) -> Result<()> {
        const ADD: &str = "INSERT INTO belay.job_error (job_id, operation, direction, sqlstate, message, detail, hint, context)
             VALUES ($1, CASE WHEN $2 IS NOT NULL THEN least($2, (SELECT j.operations FROM belay.job j WHERE j.id = $1)) END,
                     $3, $4, $5, $6, $7, $8)";
        const COUNT: &str = "UPDATE belay.job SET errors = errors + 1 WHERE id = $1";
        const FORGET: &str = "DELETE FROM belay.job_error WHERE job_id = $1
                AND id <= (SELECT e.id FROM belay.job_error e WHERE e.job_id = $1 ORDER BY e.id DESC OFFSET $2 LIMIT 1)";
        let said = failure.said();
        let arguments = [
            bind(id),
            bind(operation.map(|operation| operation + 1)),
            bind(way.word()),
            bind(failure.sqlstate()),
            bind(said.message),
            bind(said.detail),
            bind(said.hint),
            bind(said.context),
        ];
        self.execute(ADD, &arguments)?;
        self.execute(COUNT, &[bind(id)])?;
        self.execute(FORGET, &[bind(id), bind(KEPT)])?;
        Ok(())
    }
}
