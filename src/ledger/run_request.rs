//! `belay.run_request`: runs that were asked of a worker.

use pgrx::JsonB;
use serde_json::Value;

use super::Ledger;
use super::project::Project;
use crate::error::{Failure, Result};
use crate::pg::spi::bind;
use crate::pg::{identity, settings};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The number of the run.
    pub run: i64,
    /// The project's name.
    pub project: String,
    /// The arguments of migrate_up.
    pub options: Value,
    /// As whom it runs.
    pub role: String,
    /// As whom its worker connects.
    pub session_role: String,
    /// Under which it runs.
    pub search_path: String,
    /// `waiting`, `running`, `ended` or `withdrawn`.
    pub state: String,
    /// SQLSTATE and message of the error with which it has ended.
    pub error: Option<(String, String)>,
}

/// A query for whole requests.
macro_rules! request_query {
    ($rest:literal) => {
        concat!(
            "SELECT r.run_id, p.name, r.options, r.role::text, r.session_role::text, r.search_path, r.state, r.sqlstate, r.message
               FROM belay.run_request r JOIN belay.project p ON p.id = r.project_id ",
            $rest
        )
    };
}

fn request(row: &crate::pg::spi::Row<'_, '_>) -> Result<RunRequest> {
    let sqlstate: Option<String> = row.get(8)?;
    let message: Option<String> = row.get(9)?;
    Ok(RunRequest {
        run: row.require(1)?,
        project: row.require(2)?,
        options: row.get::<JsonB>(3)?.map_or(Value::Null, |json| json.0),
        role: row.require(4)?,
        session_role: row.require(5)?,
        search_path: row.require(6)?,
        state: row.require(7)?,
        error: sqlstate.zip(message),
    })
}

impl Ledger {
    /// Asks for a run of the caller's; its number. Old requests are forgotten.
    pub fn request_run(&self, project: &Project, options: Value) -> Result<i64> {
        const FORGET: &str =
            "DELETE FROM belay.run_request WHERE ended_at < pg_catalog.now() - interval '7 days'";
        const ADD: &str = "INSERT INTO belay.run_request (run_id, project_id, database, options, role, session_role, search_path)
             SELECT pg_catalog.nextval('belay.run_id_seq'), $1, d.oid, $2, $3::text::name, $4::text::name, $5
               FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database() RETURNING run_id";
        self.execute(FORGET, &[])?;
        let arguments = [
            bind(project.id),
            bind(JsonB(options)),
            bind(identity::role_name(identity::current_role())),
            bind(identity::role_name(identity::session_role())),
            bind(settings::get(c"search_path")),
        ];
        let run = self.write(ADD, &arguments, |row| row.require::<i64>(1))?;
        Ok(run.first().copied().unwrap_or_default())
    }

    /// The request of that number.
    pub fn run_request(&self, run: i64) -> Result<Option<RunRequest>> {
        const SQL: &str = request_query!("WHERE r.run_id = $1");
        self.select_one(SQL, &[bind(run)], |row| request(&row))
    }

    /// The requests that have not ended, oldest first.
    pub fn open_run_requests(&self) -> Result<Vec<RunRequest>> {
        const SQL: &str =
            request_query!("JOIN pg_catalog.pg_database d ON d.oid = r.database AND d.datname = pg_catalog.current_database()
              WHERE r.state IN ('waiting', 'running') ORDER BY r.run_id");
        self.select(SQL, &[], |row| request(&row))
    }

    /// Brings a request from one state to another, if it is in that one.
    pub fn move_run_request(&self, run: i64, from: &str, to: &str) -> Result<bool> {
        const SQL: &str = "UPDATE belay.run_request SET state = $3,
                    ended_at = CASE WHEN $3 IN ('ended', 'withdrawn') THEN pg_catalog.clock_timestamp() END
              WHERE run_id = $1 AND state = $2";
        Ok(self.execute(SQL, &[bind(run), bind(from), bind(to)])? == 1)
    }

    /// How a request has ended.
    pub fn end_run_request(&self, run: i64, failure: Option<&Failure>) -> Result<()> {
        const SQL: &str =
            "UPDATE belay.run_request SET state = 'ended', ended_at = pg_catalog.clock_timestamp(),
                    sqlstate = $2, message = $3, detail = $4, hint = $5, context = $6
              WHERE run_id = $1 AND state IN ('waiting', 'running')";
        let said = failure.map(Failure::said);
        let arguments = [
            bind(run),
            bind(failure.map(Failure::sqlstate)),
            bind(said.map(|said| said.message)),
            bind(said.and_then(|said| said.detail)),
            bind(said.and_then(|said| said.hint)),
            bind(said.and_then(|said| said.context)),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// Role, outcome and session of a run; the session is `None` where nobody is at it.
    #[expect(clippy::type_complexity, reason = "three columns")]
    pub fn run_session(&self, run: i64) -> Result<Option<(String, Option<String>, Option<i32>)>> {
        const SQL: &str = "SELECT r.role::text, r.outcome, (SELECT f.pid FROM belay.find_runner(r.project_id) f WHERE f.run = r.id LIMIT 1)
               FROM belay.run r WHERE r.id = $1";
        self.select_one(SQL, &[bind(run)], |row| {
            Ok((row.require(1)?, row.get(2)?, row.get(3)?))
        })
    }
}
