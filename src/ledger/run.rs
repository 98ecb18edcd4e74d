//! Runs: one row a call that applies or reverts.

use belay_core::order::Ordering;
use pgrx::JsonB;

use super::Ledger;
use super::project::Project;
use crate::error::{Code, Failure, Result};
use crate::pg::extension::LIBRARY_VERSION;
use crate::pg::row::{Field, Row};
use crate::pg::spi::bind;
use crate::pg::table::{Compare, Key, Order, Seen, Table};
use crate::pg::{client, identity, settings};

/// What a run is begun with.
#[derive(Debug)]
pub struct NewRun<'a> {
    /// `up`, `down`, `to`, `redo`, `load` or `mark`.
    pub verb: &'a str,
    /// The policy in force.
    pub ordering: Ordering,
    /// `per_migration`, `per_run` or `caller`.
    pub transaction: &'a str,
    /// The call's arguments that were given.
    pub arguments: serde_json::Value,
    /// Why, where a reason was given.
    pub reason: Option<&'a str>,
    /// The number that it was promised; `None`: the next one.
    pub number: Option<i64>,
}

/// Who holds a project's lock.
#[derive(Debug, Clone)]
pub struct Holder {
    /// One line for the error or the notice.
    pub description: String,
    /// Its process.
    pub pid: i32,
    /// Whether it holds it as a run does; who polls for its turn holds it shared, for a moment.
    pub exclusive: bool,
}

impl Ledger {
    /// Begins a run; what an earlier session left unfinished is noted as lost (the caller
    /// holds the project's lock, so nobody else is running).
    pub fn begin_run(&self, project: &Project, run: &NewRun<'_>) -> Result<i64> {
        const SQL: &str = "INSERT INTO belay.run (id, project_id, verb, ordering, transaction, arguments, reason, role,
                      session_role, application_name, pid, backend_start, library_version)
               OVERRIDING SYSTEM VALUE VALUES (coalesce($13, pg_catalog.nextval('belay.run_id_seq')),
                       $1, $2, $3, $4, $5, $6, $7::text::name, $8::text::name, $9, $10, $11, $12) RETURNING id";
        self.note_lost(project)?;
        let arguments = [
            bind(project.id),
            bind(run.verb),
            bind(run.ordering.to_string()),
            bind(run.transaction),
            bind(JsonB(run.arguments.clone())),
            bind(run.reason),
            bind(identity::role_name(identity::current_role())),
            bind(identity::role_name(identity::session_role())),
            bind(settings::get(c"application_name")),
            bind(client::pid()),
            bind(client::backend_start()),
            bind(LIBRARY_VERSION),
            bind(run.number),
        ];
        let id = self.write(SQL, &arguments, |row| row.require::<i64>(1))?;
        Ok(id.first().copied().unwrap_or_default())
    }

    /// Whether a run has not ended: it is going on, or its session has died.
    pub fn has_open_run(&self, project: &Project) -> Result<bool> {
        const SQL: &str =
            "SELECT true FROM belay.run WHERE project_id = $1 AND finished_at IS NULL LIMIT 1";
        let open = self.select_one(SQL, &[bind(project.id)], |row| row.require(1))?;
        Ok(open.unwrap_or(false))
    }

    /// Ends, as lost, the runs and steps that their session left open; the caller holds the
    /// project's lock.
    pub fn note_lost(&self, project: &Project) -> Result<()> {
        const SQL: &str = "WITH r AS (
                 UPDATE belay.run SET finished_at = pg_catalog.clock_timestamp(), outcome = 'lost'
                  WHERE project_id = $1 AND finished_at IS NULL RETURNING id
               )
               UPDATE belay.step s SET finished_at = pg_catalog.clock_timestamp(), outcome = 'lost'
                 FROM r WHERE s.run_id = r.id AND s.finished_at IS NULL";
        // That of a migration under way, where not even its failure could be written.
        const UNFINISHED: &str = "UPDATE belay.step s SET finished_at = pg_catalog.clock_timestamp(), outcome = 'lost'
               FROM belay.unfinished u WHERE u.project_id = $1 AND s.id = u.step_id AND s.finished_at IS NULL";
        self.execute(SQL, &[bind(project.id)])?;
        self.execute(UNFINISHED, &[bind(project.id)])?;
        Ok(())
    }

    /// Refuses (40001) when the transaction's snapshot is older than a run of the project: the
    /// plan would be made from what has changed since. Only where the snapshot is the caller's.
    pub fn refuse_old_snapshot(&self, project: &Project) -> Result<()> {
        let runs = Table::open(self.installed.schema, c"run")?;
        let newest = |seen, key: &[Key<'_>]| {
            let id = |row: &Row| match row.require::<i32>(c"project_id") {
                Ok(of) if of != project.id => None,
                Ok(_) => Some(row.require::<i64>(c"id")),
                Err(error) => Some(Err(error)),
            };
            runs.find(c"run_pkey", key, Order::Descending, seen, id)?
                .transpose()
        };
        let known = newest(Seen::ByQueries, &[])?.unwrap_or(0);
        let since = [Key(c"id", Compare::Greater, Field::Big(known))];
        match newest(Seen::Now, &since)? {
            None => Ok(()),
            Some(run) => Err(Failure::new(
                Code::Serialization,
                format!(
                    "run {run} changed project \"{}\" after this transaction's snapshot was taken",
                    project.name
                ),
                "ROLLBACK and begin again, or use READ COMMITTED",
            )),
        }
    }

    /// Ends a run.
    pub fn finish_run(&self, run: i64, outcome: &str, applied: i32, reverted: i32) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.run SET finished_at = pg_catalog.clock_timestamp(), outcome = $2,
                      applied = $3, reverted = $4 WHERE id = $1 AND finished_at IS NULL";
        self.execute(
            SQL,
            &[bind(run), bind(outcome), bind(applied), bind(reverted)],
        )?;
        Ok(())
    }

    /// Who holds the project's advisory lock, in words; belay.find_runner says whom it believes.
    pub fn lock_holder(&self, project: &Project) -> Result<Option<Holder>> {
        const SQL: &str = "SELECT f.described, f.pid, f.exclusive FROM belay.find_runner($1) f
              WHERE f.pid <> pg_catalog.pg_backend_pid() LIMIT 1";
        self.select_one(SQL, &[bind(project.id)], |row| {
            Ok(Holder {
                description: row.require(1)?,
                pid: row.require(2)?,
                exclusive: row.require(3)?,
            })
        })
    }
}
