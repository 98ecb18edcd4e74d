//! `belay.job_batch`: ranges of keys, and how far each is.

use std::time::Duration;

use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;

use super::progress::Way;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::pg::spi::{Row, bind};

/// A range of keys.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number.
    pub id: i64,
    /// The key before its first row; `None`: from the beginning.
    pub lower: Option<Vec<String>>,
    /// The key of its last row; `None`: to the end.
    pub upper: Option<Vec<String>>,
    /// The key of the last row that is done.
    pub cursor: Option<Vec<String>>,
    /// Rows that it was cut for.
    pub size: i32,
    /// Rows of a sub-batch.
    pub sub_batch: i32,
    /// Rows of a sub-batch at first.
    pub first_sub_batch: i32,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// Which batches: of a job's operation (from 1), on its way.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The job.
    pub job: i64,
    /// The operation, from 1.
    pub operation: i32,
    /// The way.
    pub way: Way,
}

/// What a sub-batch did.
pub struct Done<'a> {
    /// The key of its last row; `None`: it found none.
    pub cursor: Option<&'a [String]>,
    /// Rows it passed.
    pub passed: i64,
    /// Rows it changed.
    pub changed: i64,
    /// How long it took.
    pub took: Duration,
    /// Whether the batch has ended with it.
    pub is_last: bool,
}

fn batch(row: &Row<'_, '_>) -> Result<Batch> {
    Ok(Batch {
        id: row.require(1)?,
        lower: row.get(2)?,
        upper: row.get(3)?,
        cursor: row.get(4)?,
        size: row.require(5)?,
        sub_batch: row.require(6)?,
        first_sub_batch: row.require(7)?,
        attempts: row.require(8)?,
    })
}

impl Ledger {
    /// The batch that a worker was at when it ended.
    pub fn batch_in_hand(&self, pass: Pass) -> Result<Option<Batch>> {
        const SQL: &str = "SELECT b.id, b.lower_key, b.upper_key, b.cursor, b.size, b.sub_batch, b.first_sub_batch, b.attempts
               FROM belay.job_batch b WHERE b.job_id = $1 AND b.operation = $2 AND b.direction = $3 AND b.state = 'running'
              ORDER BY b.id LIMIT 1";
        let arguments = [bind(pass.job), bind(pass.operation), bind(pass.way.word())];
        self.select_one(SQL, &arguments, |row| batch(&row))
    }

    /// A failed batch that may be tried again is in hand from now on.
    pub fn take_failed_batch(&self, pass: Pass, attempts: i32) -> Result<Option<Batch>> {
        const SQL: &str = "UPDATE belay.job_batch t SET state = 'running', attempts = t.attempts + 1, sqlstate = NULL, message = NULL
              WHERE t.id = (SELECT b.id FROM belay.job_batch b WHERE b.job_id = $1 AND b.operation = $2 AND b.direction = $3
                               AND b.state = 'failed' AND b.attempts < $4 ORDER BY b.id LIMIT 1)
             RETURNING t.id, t.lower_key, t.upper_key, t.cursor, t.size, t.sub_batch, t.first_sub_batch, t.attempts";
        let arguments = [
            bind(pass.job),
            bind(pass.operation),
            bind(pass.way.word()),
            bind(attempts),
        ];
        Ok(self.write(SQL, &arguments, |row| batch(&row))?.pop())
    }

    /// The batch that was cut last: where it ends, and its size. `None`: there is none yet.
    pub fn last_batch(&self, pass: Pass) -> Result<Option<(Option<Vec<String>>, i32)>> {
        const SQL: &str = "SELECT b.upper_key, b.size FROM belay.job_batch b
              WHERE b.job_id = $1 AND b.operation = $2 AND b.direction = $3 AND b.cut_from IS NULL ORDER BY b.id DESC LIMIT 1";
        let arguments = [bind(pass.job), bind(pass.operation), bind(pass.way.word())];
        self.select_one(SQL, &arguments, |row| Ok((row.get(1)?, row.require(2)?)))
    }

    /// How long the last batches took that have succeeded, newest first.
    pub fn batch_durations(&self, pass: Pass, count: i64) -> Result<Vec<Duration>> {
        const SQL: &str = "SELECT extract(epoch FROM b.duration)::float8 FROM belay.job_batch b
              WHERE b.job_id = $1 AND b.operation = $2 AND b.direction = $3 AND b.state = 'succeeded' ORDER BY b.id DESC LIMIT $4";
        let arguments = [
            bind(pass.job),
            bind(pass.operation),
            bind(pass.way.word()),
            bind(count),
        ];
        self.select(SQL, &arguments, |row| {
            Ok(Duration::from_secs_f64(row.require::<f64>(1)?.max(0.0)))
        })
    }

    /// Cuts a batch; it is in hand.
    pub fn add_batch(
        &self,
        pass: Pass,
        lower: Option<&[String]>,
        upper: Option<&[String]>,
        (size, sub_batch): (u32, u32),
    ) -> Result<Option<Batch>> {
        const SQL: &str = "INSERT INTO belay.job_batch AS t (job_id, operation, direction, lower_key, upper_key, size, sub_batch, first_sub_batch)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
             RETURNING t.id, t.lower_key, t.upper_key, t.cursor, t.size, t.sub_batch, t.first_sub_batch, t.attempts";
        let arguments = [
            bind(pass.job),
            bind(pass.operation),
            bind(pass.way.word()),
            bind(lower.map(<[String]>::to_vec)),
            bind(upper.map(<[String]>::to_vec)),
            bind(i32::try_from(size).unwrap_or(i32::MAX)),
            bind(i32::try_from(sub_batch).unwrap_or(i32::MAX)),
        ];
        Ok(self.write(SQL, &arguments, |row| batch(&row))?.pop())
    }

    /// What a sub-batch did: written in its transaction.
    pub fn note_sub_batch(&self, id: i64, done: &Done<'_>) -> Result<()> {
        const SQL: &str = "UPDATE belay.job_batch SET cursor = coalesce($2, cursor), passed = passed + $3, rows = rows + $4, duration = duration + $5,
                    state = CASE WHEN $6 THEN 'succeeded' ELSE state END,
                    finished_at = CASE WHEN $6 THEN pg_catalog.clock_timestamp() END
              WHERE id = $1";
        let micros = i64::try_from(done.took.as_micros()).unwrap_or(i64::MAX);
        let arguments = [
            bind(id),
            bind(done.cursor.map(<[String]>::to_vec)),
            bind(done.passed),
            bind(done.changed),
            bind(Interval::from_micros(micros)),
            bind(done.is_last),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// A sub-batch has failed; the next attempt has sub-batches of so many rows.
    pub fn fail_batch(&self, id: i64, sub_batch: i32, sqlstate: &str, message: &str) -> Result<()> {
        const SQL: &str = "UPDATE belay.job_batch SET state = 'failed', sub_batch = $2, sqlstate = $3, message = $4,
                    finished_at = pg_catalog.clock_timestamp() WHERE id = $1";
        self.execute(
            SQL,
            &[bind(id), bind(sub_batch), bind(sqlstate), bind(message)],
        )?;
        Ok(())
    }

    /// Cuts a batch in two after the key `middle`. The first half takes over what is done; both have all attempts again.
    pub fn split_batch(&self, id: i64, middle: &[String]) -> Result<()> {
        const HALF: &str = "INSERT INTO belay.job_batch (job_id, operation, direction, cut_from, lower_key, upper_key, cursor, size, sub_batch,
                    first_sub_batch, state, attempts, passed, rows, started_at, duration, sqlstate, message)
             SELECT b.job_id, b.operation, b.direction, b.id, b.lower_key, $2, b.cursor, greatest(1, b.size / 2),
                    greatest(1, least(b.sub_batch, b.size / 2)), greatest(1, least(b.first_sub_batch, b.size / 2)), 'failed', 0, b.passed, b.rows,
                    b.started_at, b.duration, b.sqlstate, b.message
               FROM belay.job_batch b WHERE b.id = $1";
        const REST: &str = "UPDATE belay.job_batch SET lower_key = $2, cursor = NULL, size = greatest(1, size / 2),
                    sub_batch = greatest(1, least(sub_batch, size / 2)), first_sub_batch = greatest(1, least(first_sub_batch, size / 2)),
                    attempts = 0, passed = 0, rows = 0, duration = '0' WHERE id = $1";
        let middle = middle.to_vec();
        self.execute(HALF, &[bind(id), bind(middle.clone())])?;
        self.execute(REST, &[bind(id), bind(middle)])?;
        Ok(())
    }

    /// How many batches there are, and how many of them have failed.
    pub fn count_batches(&self, pass: Pass) -> Result<(i64, i64)> {
        const SQL: &str = "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE b.state = 'failed')
               FROM belay.job_batch b WHERE b.job_id = $1 AND b.operation = $2 AND b.direction = $3";
        let arguments = [bind(pass.job), bind(pass.operation), bind(pass.way.word())];
        let counts = self.select_one(SQL, &arguments, |row| {
            Ok((row.require(1)?, row.require(2)?))
        })?;
        Ok(counts.unwrap_or_default())
    }

    /// Failed batches may be tried as often as new ones.
    pub fn renew_batches(&self, job: i64) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.job_batch SET attempts = 0 WHERE job_id = $1 AND state = 'failed'";
        self.execute(SQL, &[bind(job)])?;
        Ok(())
    }

    /// Forgets the batches of an operation (from 1), or of all: it begins at the first row.
    pub fn forget_batches(&self, job: i64, operation: Option<i32>) -> Result<()> {
        const SQL: &str =
            "DELETE FROM belay.job_batch WHERE job_id = $1 AND operation = coalesce($2, operation)";
        self.execute(SQL, &[bind(job), bind(operation)])?;
        Ok(())
    }

    /// Whether an operation (from 1) is rolled back, in part or whole.
    pub fn has_rollback_batches(&self, job: i64, operation: i32) -> Result<bool> {
        const SQL: &str = "SELECT EXISTS (SELECT FROM belay.job_batch
              WHERE job_id = $1 AND operation = $2 AND direction = 'rollback')";
        let arguments = [bind(job), bind(operation)];
        let found = self.select_one(SQL, &arguments, |row| row.require(1))?;
        Ok(found.unwrap_or(false))
    }

    /// Keeps how many rows the table in hand has, as the planner knows it.
    pub fn estimate_job(&self, id: i64, table: Oid) -> Result<()> {
        const SQL: &str = "UPDATE belay.job SET estimate = (SELECT pg_catalog.sum(greatest(c.reltuples, 0))::bigint
                    FROM pg_catalog.pg_class c WHERE c.relkind = 'r'
                     AND (c.oid = $2 OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($2) t)))
              WHERE id = $1 AND estimate IS NULL";
        self.execute(SQL, &[bind(id), bind(table)])?;
        Ok(())
    }
}
