//! Reviews of late migrations: who accepted which, after what, and whether that still holds.

use std::collections::HashMap;

use belay_core::plan::Acceptance;

use super::Ledger;
use super::project::Project;
use super::registry::Registered;
use crate::error::Result;
use crate::pg::settings;
use crate::pg::spi::bind;

impl Ledger {
    /// What became of the reviews of these migrations, by id.
    pub fn acceptances(&self, migrations: Vec<i64>) -> Result<HashMap<i64, Acceptance>> {
        const SQL: &str = "SELECT i.id, f.standing, f.after, f.accepted_by::text, f.reason
               FROM pg_catalog.unnest($1) AS i(id) CROSS JOIN LATERAL belay.find_acceptance(i.id) f";
        if migrations.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.select(SQL, &[bind(migrations)], |row| {
            let acceptance = match row.require::<String>(2)?.as_str() {
                "holds" => Acceptance::Holds {
                    by: row.require(4)?,
                    reason: row.require(5)?,
                },
                "replaced" => Acceptance::Replaced,
                _ => Acceptance::Overtaken {
                    after: row.require(3)?,
                },
            };
            Ok((row.require::<i64>(1)?, acceptance))
        })?;
        Ok(found.into_iter().collect())
    }

    /// Writes down that the late migration, with its text as it is, may run after `after`.
    pub fn record_acceptance(
        &self,
        project: &Project,
        run: i64,
        late: &Registered,
        after: i64,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id, checksum,
                      search_path, started_at, finished_at, outcome, accepted_after)
               SELECT $1, $2, m.id, m.name, 'up', m.definition_id, m.checksum, $4, pg_catalog.clock_timestamp(),
                      pg_catalog.clock_timestamp(), 'accepted', $5
                 FROM belay.migration m WHERE m.id = $3";
        let search_path = match &project.search_path {
            Some(path) => path.clone(),
            None => settings::get(c"search_path"),
        };
        let arguments = [
            bind(run),
            bind(project.id),
            bind(late.id),
            bind(search_path),
            bind(after),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// The applied migration that sorts last.
    pub fn newest_applied(&self, project: &Project) -> Result<Option<(String, Vec<u8>)>> {
        const SQL: &str = "SELECT m.name, a.sort_key FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 ORDER BY a.sort_key DESC LIMIT 1";
        self.select_one(SQL, &[bind(project.id)], |row| {
            Ok((row.require(1)?, row.require(2)?))
        })
    }

    /// The registered migration that sorts last.
    pub fn last_registered(&self, project: &Project) -> Result<Option<String>> {
        const SQL: &str =
            "SELECT name FROM belay.migration WHERE project_id = $1 ORDER BY sort_key DESC LIMIT 1";
        self.select_one(SQL, &[bind(project.id)], |row| row.require(1))
    }
}
