//! What the code of releases sends.

use belay_core::contract_query::is_live;
use belay_core::naming::{Phase, parse_release};
use pgrx::JsonB;
use semver::Version;

use super::Ledger;
use super::project::Project;
use crate::error::{Code, Failure, Result};
use crate::pg::analysis::Query;
use crate::pg::spi::{self, Row, bind};
use crate::pg::{identity, settings};

/// A row of belay.contract_query.
#[derive(Debug)]
pub struct ContractQuery {
    /// The release whose code sends it.
    pub release: Version,
    /// Its name in that release.
    pub name: String,
    /// One statement, with $1, $2, ... for its parameters.
    pub sql: String,
    /// search_path when it was registered.
    pub search_path: String,
    /// Who registered it.
    pub registered_by: String,
}

impl ContractQuery {
    fn from_row(row: &Row<'_, '_>) -> Result<ContractQuery> {
        Ok(ContractQuery {
            release: stored_release(&row.require::<String>(1)?)?,
            name: row.require(2)?,
            sql: row.require(3)?,
            search_path: row.require(4)?,
            registered_by: row.require(5)?,
        })
    }

    /// For the server.
    pub fn query(&self) -> Query<'_> {
        Query {
            sql: &self.sql,
            search_path: &self.search_path,
        }
    }

    /// `"fetch_job" of release 3.0.0`.
    pub fn title(&self) -> String {
        format!("\"{}\" of release {}", self.name, self.release)
    }
}

fn stored_release(text: &str) -> Result<Version> {
    parse_release(text).map_err(|error| {
        Failure::new(
            Code::Protected,
            format!("the ledger holds a release that is none: {error}"),
            "Belay writes its tables itself; put back what was there",
        )
    })
}

impl Ledger {
    /// The queries of a project, of one release or of all, in the order of releases and names.
    pub fn contract_queries(
        &self,
        project: &Project,
        release: Option<&Version>,
    ) -> Result<Vec<ContractQuery>> {
        const SQL: &str =
            "SELECT release, name, sql, search_path, registered_by::text FROM belay.contract_query
              WHERE project_id = $1 AND ($2 IS NULL OR release = $2)";
        let arguments = [bind(project.id), bind(release.map(Version::to_string))];
        let mut queries = self.select(SQL, &arguments, |row| ContractQuery::from_row(&row))?;
        queries.sort_by(|a, b| (&a.release, &a.name).cmp(&(&b.release, &b.name)));
        Ok(queries)
    }

    /// One of them, locked until the transaction ends.
    pub fn lock_contract_query(
        &self,
        project: &Project,
        release: &Version,
        name: &str,
    ) -> Result<Option<ContractQuery>> {
        const SQL: &str =
            "SELECT release, name, sql, search_path, registered_by::text FROM belay.contract_query
              WHERE project_id = $1 AND release = $2 AND name = $3 FOR UPDATE";
        let arguments = [bind(project.id), bind(release.to_string()), bind(name)];
        let found = self.write(SQL, &arguments, |row| ContractQuery::from_row(&row))?;
        Ok(found.into_iter().next())
    }

    /// Adds a query, or puts it in the place of the one of its name; the caller is its registrant.
    pub fn put_contract_query(
        &self,
        project: &Project,
        release: &Version,
        name: &str,
        sql: &str,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.contract_query (project_id, release, name, sql, search_path, registered_by)
               VALUES ($1, $2, $3, $4, $5, $6::text::name)
                   ON CONFLICT (project_id, release, name) DO UPDATE
                  SET sql = excluded.sql, search_path = excluded.search_path,
                      registered_at = excluded.registered_at, registered_by = excluded.registered_by";
        let arguments = [
            bind(project.id),
            bind(release.to_string()),
            bind(name),
            bind(sql),
            bind(settings::get(c"search_path")),
            bind(identity::role_name(identity::acting_role())),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// Takes a query away.
    pub fn drop_contract_query(&self, project: &Project, query: &ContractQuery) -> Result<()> {
        const SQL: &str =
            "DELETE FROM belay.contract_query WHERE project_id = $1 AND release = $2 AND name = $3";
        let release = query.release.to_string();
        let arguments = [bind(project.id), bind(release), bind(query.name.as_str())];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// Whether the release was announced as deployed.
    pub fn is_announced(&self, project: &Project, release: &Version) -> Result<bool> {
        const SQL: &str =
            "SELECT 1 FROM belay.announcement WHERE project_id = $1 AND release = $2 LIMIT 1";
        let arguments = [bind(project.id), bind(release.to_string())];
        Ok(self.select_one(SQL, &arguments, |_| Ok(()))?.is_some())
    }

    /// Tells which releases' code still counts: no `post` of a later release has run.
    pub fn live_releases(&self, project: &Project) -> Result<impl Fn(&Version) -> bool + use<>> {
        const SQL: &str = "SELECT DISTINCT m.release FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 AND m.phase = 'post'";
        let posts = self.select(SQL, &[bind(project.id)], |row| {
            stored_release(&row.require::<String>(1)?)
        })?;
        let newest = posts.into_iter().max();
        Ok(move |release: &Version| is_live(release, newest.as_ref()))
    }

    /// Whether another migration of that release and phase is pending.
    pub fn has_pending_besides(
        &self,
        project: &Project,
        release: &Version,
        phase: Phase,
        migration: i64,
    ) -> Result<bool> {
        const SQL: &str =
            "SELECT 1 FROM belay.pending p JOIN belay.migration m ON m.id = p.migration_id
              WHERE p.project_id = $1 AND m.release = $2 AND m.phase = $3 AND m.id <> $4 LIMIT 1";
        let arguments = [
            bind(project.id),
            bind(release.to_string()),
            bind(phase.to_string()),
            bind(migration),
        ];
        Ok(self.select_one(SQL, &arguments, |_| Ok(()))?.is_some())
    }

    /// What pg_stat_statements shows the caller, by name; under the caller's rights.
    pub fn seen_statements(&self) -> Result<JsonB> {
        const SQL: &str = "SELECT belay.seen_statements()";
        let found = spi::select_one(SQL, &[], |row| row.get::<JsonB>(1))?;
        Ok(found.flatten().unwrap_or(JsonB(serde_json::Value::Null)))
    }
}
