//! Which jobs want a worker.

use super::{Job, job_query};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::pg::compat;
use crate::pg::spi::bind;

impl Ledger {
    /// The jobs that are under way, in the order in which they were registered, each with whether somebody has taken it up.
    pub fn active_jobs(&self) -> Result<Vec<(Job, bool)>> {
        const SQL: &str = job_query!(
            "WHERE j.state IN ('starting', 'running', 'stopping', 'rolling_back') ORDER BY j.id"
        );
        const TAKEN: &str = "SELECT pid IS NOT NULL FROM belay.job WHERE id = $1";
        let jobs = self.select(SQL, &[], |row| Job::of_row(&row))?;
        let mut found = Vec::with_capacity(jobs.len());
        for job in jobs {
            let taken = self.select_one(TAKEN, &[bind(job.id)], |row| row.require(1))?;
            found.push((job, taken.unwrap_or(false)));
        }
        Ok(found)
    }

    /// The jobs that begin by themselves and may now: their window is open, what they depend on is completed.
    pub fn jobs_that_may_begin(&self) -> Result<Vec<Job>> {
        const SQL: &str = job_query!(
            "LEFT JOIN LATERAL (SELECT n.release FROM belay.announcement n WHERE n.project_id = j.project_id ORDER BY n.id DESC LIMIT 1) a ON true
              WHERE j.state = 'not_started' AND j.auto_start AND NOT j.missing
                AND (belay.ignores_windows(p.name) OR belay.release_window(j.min_release, j.max_release, a.release) = 'open')
                AND NOT EXISTS (SELECT FROM pg_catalog.unnest(j.depends_on) d(name)
                                  LEFT JOIN belay.job x ON x.project_id = j.project_id AND x.name = d.name
                                 WHERE x.state IS DISTINCT FROM 'completed')
              ORDER BY j.id"
        );
        self.select(SQL, &[], |row| Job::of_row(&row))
    }

    /// The defaults of a job's parameters are what its start is given.
    pub fn set_default_parameters(&self, id: i64) -> Result<()> {
        const SQL: &str = "UPDATE belay.job_definition d SET parameters = coalesce(
                    (SELECT pg_catalog.jsonb_object_agg(e.key, e.value -> 'default') FROM pg_catalog.jsonb_each(d.definition -> 'parameters') e), '{}')
              WHERE d.job_id = $1";
        self.execute(SQL, &[bind(id)])?;
        Ok(())
    }

    /// Whether this database is a template, into which nobody is sent.
    pub fn is_template(&self) -> Result<bool> {
        const SQL: &str = "SELECT d.datistemplate FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
        let found = self.select_one(SQL, &[], |row| row.require(1))?;
        Ok(found.unwrap_or(false))
    }

    /// Why a worker cannot connect as one role and take on another; `None`: it can.
    pub fn keeps_worker_out(&self, session_role: &str, role: &str) -> Result<Option<String>> {
        const SQL: &str = "SELECT CASE
                 WHEN s.oid IS NULL THEN pg_catalog.format('role \"%s\" does not exist any more', $1)
                 WHEN r.oid IS NULL THEN pg_catalog.format('role \"%s\" does not exist any more', $2)
                 WHEN NOT s.rolcanlogin THEN pg_catalog.format('role \"%s\" may not log in, and its worker connects as it', $1)
                 WHEN NOT pg_catalog.has_database_privilege(s.oid, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()), 'CONNECT')
                 THEN pg_catalog.format('role \"%s\" may not connect to this database, and its worker connects as it', $1)
                 WHEN NOT pg_catalog.pg_has_role(s.oid, r.oid, $3) THEN pg_catalog.format('role \"%s\" may not SET ROLE \"%s\" any more', $1, $2)
                 WHEN s.rolsuper AND s.oid <> r.oid THEN pg_catalog.format('role \"%s\" is a superuser, and its worker would step down to \"%s\"', $1, $2) END
               FROM (SELECT) one LEFT JOIN pg_catalog.pg_roles s ON s.rolname = $1::text::name LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $2::text::name";
        let arguments = [
            bind(session_role),
            bind(role),
            bind(compat::SET_ROLE_PRIVILEGE),
        ];
        let reason = self.select_one(SQL, &arguments, |row| row.get(1))?;
        Ok(reason.flatten())
    }

    /// The states of the jobs that one depends on, as far as they are there.
    pub fn unfinished_parents(&self, job: &Job) -> Result<Vec<String>> {
        const SQL: &str = "SELECT pg_catalog.format('\"%s\" is %s', d.name, coalesce(x.state, 'not registered')) FROM pg_catalog.unnest($2) WITH ORDINALITY d(name, n)
               LEFT JOIN belay.job x ON x.project_id = $1 AND x.name = d.name WHERE x.state IS DISTINCT FROM 'completed' ORDER BY d.n";
        let arguments = [bind(job.project_id), bind(job.depends_on.clone())];
        self.select(SQL, &arguments, |row| row.require(1))
    }

    /// The release that is announced for the project of a job.
    pub fn announced_for_job(&self, job: &Job) -> Result<Option<String>> {
        const SQL: &str =
            "SELECT release FROM belay.announcement WHERE project_id = $1 ORDER BY id DESC LIMIT 1";
        let found = self.write(SQL, &[bind(job.project_id)], |row| row.require(1))?;
        Ok(found.into_iter().next())
    }
}
