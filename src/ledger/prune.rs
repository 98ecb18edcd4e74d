//! Old history goes, on its owner's word.
//!
//! History is append-only by triggers that refuse every DELETE, whoever sends it. They are not
//! loosened here: rows are taken out by [`Table::delete_all`], which runs no trigger and which
//! nothing but this library can call. What goes is chosen by the queries below.

use std::ffi::CStr;

use pgrx::datum::TimestampWithTimeZone;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::spi::bind;
use crate::pg::table::Table;

impl Ledger {
    /// Removes the steps that ended before `before`, with their errors, then the runs and
    /// definitions that nothing refers to any more; the number of steps. What is in force or
    /// unfinished keeps its steps, and what is registered its acceptances. The caller holds the project's lock.
    pub fn prune_history(&self, project: &Project, before: TimestampWithTimeZone) -> Result<usize> {
        const STEPS: &str = "SELECT s.id, s.definition_id FROM belay.step s
              WHERE s.project_id = $1 AND s.finished_at < $2
                AND NOT EXISTS (SELECT FROM belay.applied a WHERE a.migration_id = s.migration_id AND a.step_id = s.id)
                AND NOT EXISTS (SELECT FROM belay.unfinished u WHERE u.migration_id = s.migration_id)
                AND NOT (s.outcome = 'accepted' AND EXISTS (SELECT FROM belay.migration m WHERE m.id = s.migration_id))";
        // The last one says what is deployed.
        const ANNOUNCED: &str = "SELECT a.id FROM belay.announcement a
              WHERE a.project_id = $1 AND a.announced_at < $2
                AND EXISTS (SELECT FROM belay.announcement n WHERE n.project_id = $1 AND n.id > a.id)";
        const RUNS: &str = "SELECT r.id FROM belay.run r
              WHERE r.project_id = $1 AND r.finished_at < $2
                AND NOT EXISTS (SELECT FROM belay.step s WHERE s.run_id = r.id)";
        let arguments = [bind(project.id), bind(before)];
        // As writing queries: they see what was committed before the lock was taken, and the
        // deletions so far.
        let (steps, mut definitions): (Vec<i64>, Vec<i64>) = self
            .write(STEPS, &arguments, |row| {
                Ok((row.require::<i64>(1)?, row.require::<i64>(2)?))
            })?
            .into_iter()
            .unzip();
        self.delete(c"step_error", c"step_error_pkey", c"step_id", &steps)?;
        self.delete(c"step", c"step_pkey", c"id", &steps)?;
        let announced = self.write(ANNOUNCED, &arguments, |row| row.require::<i64>(1))?;
        self.delete(c"announcement", c"announcement_pkey", c"id", &announced)?;
        let runs = self.write(RUNS, &arguments, |row| row.require::<i64>(1))?;
        self.delete(c"run", c"run_pkey", c"id", &runs)?;
        definitions.sort_unstable();
        definitions.dedup();
        self.sweep_definitions(definitions)?;
        Ok(steps.len())
    }

    fn delete(&self, table: &CStr, index: &CStr, column: &CStr, keys: &[i64]) -> Result<()> {
        Table::open_to_write(self.installed.schema, table)?.delete_all(index, column, keys)
    }
}
