//! Which release of a project's code is deployed, as its deployers tell.

use pgrx::JsonB;
use serde_json::json;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::extension::LIBRARY_VERSION;
use crate::pg::spi::bind;
use crate::pg::{client, identity, settings};

impl Ledger {
    /// Writes it down, with a run of the role that says so. No other run of the project is touched: one
    /// may be going on. The announcement's id.
    pub fn record_announcement(&self, project: &Project, release: &str) -> Result<i64> {
        const ANNOUNCEMENT: &str =
            "INSERT INTO belay.announcement (project_id, release, announced_by)
               VALUES ($1, $2, $3::text::name) RETURNING id";
        const RUN: &str = "INSERT INTO belay.run (project_id, verb, ordering, transaction, arguments, role, session_role,
                      application_name, pid, backend_start, library_version, finished_at, outcome, applied, reverted)
               VALUES ($1, 'announce', $2, 'caller', $3, $4::text::name, $5::text::name, $6, $7, $8, $9,
                       pg_catalog.clock_timestamp(), 'succeeded', 0, 0)";
        let before = self.announced(project)?;
        let role = identity::role_name(identity::current_role());
        let arguments = [bind(project.id), bind(release), bind(role.clone())];
        let id = self.write(ANNOUNCEMENT, &arguments, |row| row.require::<i64>(1))?;
        let run = [
            bind(project.id),
            bind(project.ordering.to_string()),
            bind(JsonB(json!({ "release": [before, release] }))),
            bind(role),
            bind(identity::role_name(identity::session_role())),
            bind(settings::get(c"application_name")),
            bind(client::pid()),
            bind(client::backend_start()),
            bind(LIBRARY_VERSION),
        ];
        self.execute(RUN, &run)?;
        Ok(id.first().copied().unwrap_or_default())
    }

    /// The release that was announced last.
    pub fn announced(&self, project: &Project) -> Result<Option<String>> {
        const SQL: &str =
            "SELECT release FROM belay.announcement WHERE project_id = $1 ORDER BY id DESC LIMIT 1";
        // As a writing query: it sees what was committed meanwhile.
        let found = self.write(SQL, &[bind(project.id)], |row| row.require(1))?;
        Ok(found.into_iter().next())
    }

    /// What is pending before the code of a release may run: name and release of each pre, in order.
    pub fn pending_pre(&self, project: &Project) -> Result<Vec<(String, String)>> {
        const SQL: &str = "SELECT m.name, m.release FROM belay.pending p JOIN belay.migration m ON m.id = p.migration_id
              WHERE p.project_id = $1 AND m.phase = 'pre' ORDER BY p.sort_key";
        self.select(SQL, &[bind(project.id)], |row| {
            Ok((row.require(1)?, row.require(2)?))
        })
    }
}
