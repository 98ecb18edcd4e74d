//! What whoever waits for others asks again and again; nothing here writes, so that a standby answers, too.

use belay_core::order::Ordering;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::row::Row;
use crate::pg::spi::bind;
use crate::pg::table::Table;

/// How a run stands.
#[derive(Debug, Clone)]
pub struct RunStanding {
    /// The name of its project.
    pub project: String,
    /// `up`, `down`, ...
    pub verb: String,
    /// `succeeded`, `failed` or `lost`; `None`: it has not ended.
    pub outcome: Option<String>,
}

/// How a migration stands that is not in force.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// As migrate_status has it.
    pub state: String,
    /// More about the state.
    pub detail: Option<String>,
    /// What to do about it.
    pub next_command: Option<String>,
}

impl Ledger {
    /// The place in the project's order of a migration; `None`: not registered.
    pub fn place_of(&self, project: &Project, name: &str) -> Result<Option<Vec<u8>>> {
        const SQL: &str =
            "SELECT sort_key FROM belay.migration WHERE project_id = $1 AND name = $2";
        self.select_one(SQL, &[bind(project.id), bind(name)], |row| row.require(1))
    }

    /// The place of the last migration of a release; `None`: none belongs to it.
    pub fn end_of_release(&self, project: &Project, release: &str) -> Result<Option<Vec<u8>>> {
        const SQL: &str =
            "SELECT sort_key FROM belay.migration WHERE project_id = $1 AND release = $2
              ORDER BY sort_key DESC LIMIT 1";
        self.select_one(SQL, &[bind(project.id), bind(release)], |row| {
            row.require(1)
        })
    }

    /// How a run stands; `None`: there is none of that number.
    pub fn run_standing(&self, run: i64) -> Result<Option<RunStanding>> {
        const SQL: &str = "SELECT p.name, r.verb, r.outcome
               FROM belay.run r JOIN belay.project p ON p.id = r.project_id WHERE r.id = $1";
        self.select_one(SQL, &[bind(run)], |row| {
            Ok(RunStanding {
                project: row.require(1)?,
                verb: row.require(2)?,
                outcome: row.get(3)?,
            })
        })
    }

    /// Whether a migration is half done as of now, not as of the query's snapshot.
    pub fn is_unfinished(&self, migration: i64) -> Result<bool> {
        let found = Table::open(self.installed.schema, c"unfinished")?.get(
            c"unfinished_pkey",
            c"migration_id",
            migration,
            |_: &Row| (),
        )?;
        Ok(found.is_some())
    }

    /// Whether a migration is pending as of now, not as of the query's snapshot.
    pub fn is_pending(&self, migration: i64) -> Result<bool> {
        let found = Table::open(self.installed.schema, c"pending")?.get(
            c"pending_pkey",
            c"migration_id",
            migration,
            |_: &Row| (),
        )?;
        Ok(found.is_some())
    }

    /// Whether a session of this server is at that run. A run begins after it has taken its lock and ends before it
    /// gives it back: one that is found open before this says no, and open after it, will never end.
    pub fn is_at_run(&self, project: &Project, run: i64) -> Result<bool> {
        const SQL: &str = "SELECT true FROM belay.find_runner($1) f WHERE f.run = $2 LIMIT 1";
        let found = self.select_one(SQL, &[bind(project.id), bind(run)], |row| row.require(1))?;
        Ok(found.unwrap_or(false))
    }

    /// Whether a run is going on under that policy.
    pub fn is_run_under(&self, project: &Project, ordering: Ordering) -> Result<bool> {
        const SQL: &str = "SELECT true FROM belay.find_runner($1) f WHERE f.ordering = $2 LIMIT 1";
        let arguments = [bind(project.id), bind(ordering.to_string())];
        let found = self.select_one(SQL, &arguments, |row| row.require(1))?;
        Ok(found.unwrap_or(false))
    }

    /// How those of the migrations stand that are not in force, in order.
    pub fn standings(&self, project: &Project, names: Vec<String>) -> Result<Vec<Standing>> {
        const SQL: &str = "SELECT s.name, s.state, s.detail, s.next_command
               FROM belay.migrate_status($1) s WHERE s.name = ANY ($2) AND s.state <> 'applied'";
        self.select(SQL, &[bind(project.name.as_str()), bind(names)], |row| {
            Ok(Standing {
                name: row.require(1)?,
                state: row.require(2)?,
                detail: row.get(3)?,
                next_command: row.get(4)?,
            })
        })
    }
}
