//! Jobs come, change and go.

use belay_core::job::Definition;
use pgrx::JsonB;

use crate::error::Result;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::identity;
use crate::pg::settings;
use crate::pg::spi::bind;

impl Ledger {
    /// Registers a job as the caller's.
    pub fn add_job(
        &self,
        project: &Project,
        name: &str,
        definition: &Definition,
        loaded: bool,
    ) -> Result<()> {
        const SQL: &str = "WITH made AS (
                 INSERT INTO belay.job (project_id, name, description, checksum, operations, depends_on, min_release, max_release, auto_start,
                                        loaded, role, session_role, search_path)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::name, $12::text::name, $13) RETURNING id)
             INSERT INTO belay.job_definition (job_id, definition) SELECT id, $14 FROM made";
        self.settle_home()?;
        let arguments = [
            bind(project.id),
            bind(name),
            bind(definition.description.as_deref()),
            bind(definition.checksum()),
            bind(i32::try_from(definition.operations.len()).unwrap_or(i32::MAX)),
            bind(definition.depends_on.clone()),
            bind(definition.min_release.as_deref()),
            bind(definition.max_release.as_deref()),
            bind(definition.auto_start),
            bind(loaded),
            bind(identity::role_name(identity::current_role())),
            bind(identity::role_name(identity::session_role())),
            bind(settings::get(c"search_path")),
            bind(JsonB(definition.json.clone())),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// Gives a job another definition, and with it another registrant.
    pub fn replace_job(&self, id: i64, definition: &Definition, loaded: bool) -> Result<()> {
        const SQL: &str = "WITH changed AS (
                 UPDATE belay.job SET description = $2, checksum = $3, operations = $4, operation = 0, depends_on = $5, min_release = $6,
                        max_release = $7, auto_start = $8, loaded = $9, missing = false, role = $10::text::name,
                        session_role = $11::text::name, search_path = $12, registered_at = pg_catalog.clock_timestamp()
                  WHERE id = $1 RETURNING id)
             UPDATE belay.job_definition d SET definition = $13, parameters = '{}' FROM changed c WHERE d.job_id = c.id";
        let arguments = [
            bind(id),
            bind(definition.description.as_deref()),
            bind(definition.checksum()),
            bind(i32::try_from(definition.operations.len()).unwrap_or(i32::MAX)),
            bind(definition.depends_on.clone()),
            bind(definition.min_release.as_deref()),
            bind(definition.max_release.as_deref()),
            bind(definition.auto_start),
            bind(loaded),
            bind(identity::role_name(identity::current_role())),
            bind(identity::role_name(identity::session_role())),
            bind(settings::get(c"search_path")),
            bind(JsonB(definition.json.clone())),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// Jobs that came by a load and are not in this one are missing, and those that are there are not. The names of those
    /// that have become missing.
    pub fn mark_loaded_jobs(&self, project: &Project, names: Vec<String>) -> Result<Vec<String>> {
        const FOUND: &str = "UPDATE belay.job SET missing = false, loaded = true
              WHERE project_id = $1 AND name = ANY ($2) AND (missing OR NOT loaded)";
        const MISSING: &str = "UPDATE belay.job SET missing = true
              WHERE project_id = $1 AND loaded AND NOT missing AND name <> ALL ($2) RETURNING name";
        self.execute(FOUND, &[bind(project.id), bind(names.clone())])?;
        let arguments = [bind(project.id), bind(names)];
        let mut missing: Vec<String> = self.write(MISSING, &arguments, |row| row.require(1))?;
        missing.sort();
        Ok(missing)
    }

    /// Takes a job out, with everything that belongs to it.
    pub fn remove_job(&self, id: i64) -> Result<()> {
        const PARTS: [&str; 4] = [
            "DELETE FROM belay.job_error WHERE job_id = $1",
            "DELETE FROM belay.job_batch WHERE job_id = $1",
            "DELETE FROM belay.job_definition WHERE job_id = $1",
            "DELETE FROM belay.job WHERE id = $1",
        ];
        for part in PARTS {
            self.execute(part, &[bind(id)])?;
        }
        Ok(())
    }

    /// The first job of a database makes it the one in which they run.
    fn settle_home(&self) -> Result<()> {
        const SQL: &str = "SELECT EXISTS (SELECT FROM belay.job)";
        match self.select_one(SQL, &[], |row| row.require::<bool>(1))? {
            Some(true) => Ok(()),
            _ => self.release_jobs(),
        }
    }

    /// Jobs run in this database from now on.
    pub fn release_jobs(&self) -> Result<()> {
        const FORGET: &str = "DELETE FROM belay.job_home";
        const SETTLE: &str = "INSERT INTO belay.job_home (database, released_by)
             SELECT d.oid, $1::text::name FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
             ON CONFLICT (database) DO NOTHING";
        let role = identity::role_name(identity::acting_role());
        self.execute(FORGET, &[])?;
        self.execute(SETTLE, &[bind(role)])?;
        Ok(())
    }

    /// Whether jobs run in this database.
    pub fn jobs_are_released(&self) -> Result<bool> {
        const SQL: &str = "SELECT belay.is_released()";
        let found = self.write(SQL, &[], |row| row.require(1))?;
        Ok(found.first().copied().unwrap_or(false))
    }
}
