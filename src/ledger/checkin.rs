//! Instances of a project's code that tell their release themselves.

use pgrx::datum::TimestampWithTimeZone;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::identity;
use crate::pg::spi::bind;

impl Ledger {
    /// Writes the instance down, for so many microseconds; `None` where another role's has that name
    /// and has not expired.
    pub fn check_in(
        &self,
        project: &Project,
        instance: &str,
        release: &str,
        micros: i64,
    ) -> Result<Option<TimestampWithTimeZone>> {
        const SQL: &str = "INSERT INTO belay.client AS c (project_id, instance, release, expires_at, role)
               VALUES ($1, $2, $3, pg_catalog.clock_timestamp() + $4 * interval '1 microsecond', $5::text::name)
               ON CONFLICT (project_id, instance) DO UPDATE SET release = excluded.release,
                      seen_at = pg_catalog.clock_timestamp(), expires_at = excluded.expires_at, role = excluded.role
                WHERE c.role = excluded.role OR c.expires_at <= pg_catalog.clock_timestamp()
                   OR NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = c.role)
                   OR pg_catalog.pg_has_role($5::text::name, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = c.role), 'USAGE')
               RETURNING c.expires_at";
        let arguments = [
            bind(project.id),
            bind(instance),
            bind(release),
            bind(micros),
            bind(identity::role_name(identity::current_role())),
        ];
        let written = self.write(SQL, &arguments, |row| row.get(1))?;
        Ok(written.into_iter().next().flatten())
    }

    /// Removes what expired long ago, a little at a time, and nothing that another session is at.
    pub fn forget_expired(&self, project: &Project) -> Result<()> {
        const SQL: &str = "DELETE FROM belay.client c
              WHERE c.project_id = $1 AND c.instance = ANY (ARRAY(
                    SELECT x.instance FROM belay.client x
                     WHERE x.project_id = $1 AND x.expires_at < pg_catalog.clock_timestamp() - interval '1 hour'
                     LIMIT 100 FOR UPDATE SKIP LOCKED))";
        self.execute(SQL, &[bind(project.id)])?;
        Ok(())
    }

    /// Who checked in under that name.
    pub fn role_of_instance(&self, project: &Project, instance: &str) -> Result<Option<String>> {
        const SQL: &str =
            "SELECT role::text FROM belay.client WHERE project_id = $1 AND instance = $2";
        self.select_one(SQL, &[bind(project.id), bind(instance)], |row| {
            row.require(1)
        })
    }

    /// Takes the instance out; whether it was there.
    pub fn check_out(&self, project: &Project, instance: &str) -> Result<bool> {
        const SQL: &str = "DELETE FROM belay.client WHERE project_id = $1 AND instance = $2";
        let gone = self.execute(SQL, &[bind(project.id), bind(instance)])?;
        Ok(gone > 0)
    }
}
