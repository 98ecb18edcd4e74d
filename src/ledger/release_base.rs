//! What was there when a release began.

use pgrx::JsonB;
use serde_json::Value;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::spi::bind;

impl Ledger {
    /// The identities, while anything of the release is applied or under way; what an earlier attempt that was reverted
    /// whole has left does not count.
    pub fn release_base(&self, project: &Project, release: &str) -> Result<Option<Value>> {
        const SQL: &str = "SELECT b.objects FROM belay.release_base b
              WHERE b.project_id = $1 AND b.release = $2
                AND EXISTS (SELECT FROM belay.migration m
                             WHERE m.project_id = $1 AND m.release = $2
                               AND (EXISTS (SELECT FROM belay.applied a WHERE a.migration_id = m.id)
                                 OR EXISTS (SELECT FROM belay.unfinished u WHERE u.migration_id = m.id)))";
        self.select_one(SQL, &[bind(project.id), bind(release)], |row| {
            Ok(row.get::<JsonB>(1)?.map(|objects| objects.0))
        })
        .map(Option::flatten)
    }

    /// Keeps the identities of a release that begins.
    pub fn keep_release_base(
        &self,
        project: &Project,
        release: &str,
        objects: Value,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.release_base (project_id, release, objects) VALUES ($1, $2, $3)
              ON CONFLICT (project_id, release) DO UPDATE SET objects = EXCLUDED.objects, taken_at = pg_catalog.clock_timestamp()";
        self.execute(
            SQL,
            &[bind(project.id), bind(release), bind(JsonB(objects))],
        )?;
        Ok(())
    }
}
