//! What the code of releases sends: `contract_query` and its siblings, and `contract_check`, which says
//! whether it passes now.

use pgrx::iter::TableIterator;
use pgrx::{JsonB, pg_extern, pg_sys};
use semver::Version;
use serde_json::{Map, Value};

use super::required;
use super::verbs::release_argument;
use crate::engine::planning::refuse_project_without_releases;
use crate::error::{Code, Failure, Result, entry};
use crate::ledger::Ledger;
use crate::ledger::project::{self, Project};
use crate::pg::analysis;
use crate::registration::contract_query::{self as registration, Outcome};

/// Where a query is registered.
struct Place {
    ledger: Ledger,
    project: Project,
    release: Version,
}

impl Place {
    fn of(release: Option<&str>, project: Option<&str>) -> Result<Place> {
        let ledger = Ledger::open_to_write()?;
        let release = release_argument(required(release, "release")?)?;
        let project = ledger.project_for_registration(required(project, "project")?)?;
        refuse_project_without_releases(&project)?;
        Ok(Place {
            ledger,
            project,
            release,
        })
    }

    /// Each in the order of the names; one row each.
    fn register_all(&self, queries: &Map<String, Value>, only_passing: bool) -> Result<Vec<Row>> {
        let (ledger, project, release) = (&self.ledger, &self.project, &self.release);
        let mut rows = Vec::with_capacity(queries.len());
        for (name, sql) in queries {
            let Value::String(sql) = sql else {
                return Err(not_queries(&format!(
                    "the value of \"{name}\" is not a text"
                )));
            };
            let outcome = match only_passing {
                true => registration::register_passing(ledger, project, release, name, sql)?,
                false => registration::register(ledger, project, release, name, sql)?,
            };
            let word = outcome.word().to_owned();
            let reason = match outcome {
                Outcome::LeftOut(reason) => Some(reason),
                _ => None,
            };
            rows.push((name.clone(), word, reason));
        }
        Ok(rows)
    }
}

fn not_queries(what: &str) -> Failure {
    Failure::new(
        Code::InvalidParameter,
        format!("queries is not an object of names and texts: {what}"),
        "pass queries => '{\"name\": \"SELECT ... $1\", ...}'",
    )
}

/// Columns: name, action, reason.
type Row = (String, String, Option<String>);
type Rows = TableIterator<'static, (String, String, Option<String>)>;

#[pg_extern(sql = false)]
fn contract_query(
    release: Option<&str>,
    name: Option<&str>,
    sql: Option<&str>,
    project: Option<&str>,
) -> String {
    entry(|| {
        let (name, sql) = (required(name, "name")?, required(sql, "sql")?);
        let place = Place::of(release, project)?;
        let (ledger, project) = (&place.ledger, &place.project);
        let outcome = registration::register(ledger, project, &place.release, name, sql)?;
        Ok(outcome.word().to_owned())
    })
}

#[pg_extern(sql = false)]
fn contract_queries(
    release: Option<&str>,
    queries: Option<JsonB>,
    only_passing: Option<bool>,
    project: Option<&str>,
) -> Rows {
    TableIterator::new(entry(|| {
        let JsonB(queries) = required(queries, "queries")?;
        let only_passing = required(only_passing, "only_passing")?;
        let Value::Object(queries) = queries else {
            return Err(not_queries("it is no object"));
        };
        Place::of(release, project)?.register_all(&queries, only_passing)
    }))
}

#[pg_extern(sql = false)]
fn contract_from_statements(release: Option<&str>, project: Option<&str>) -> Rows {
    TableIterator::new(entry(|| {
        let place = Place::of(release, project)?;
        match place.ledger.seen_statements()? {
            JsonB(Value::Object(queries)) => place.register_all(&queries, true),
            _ => Ok(Vec::new()),
        }
    }))
}

#[pg_extern(sql = false)]
fn contract_query_drop(release: Option<&str>, name: Option<&str>, project: Option<&str>) -> i32 {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let release = release_argument(required(release, "release")?)?;
        let name = required(name, "name")?;
        let project = ledger.project(required(project, "project")?)?;
        let dropped = registration::drop(&ledger, &project, &release, name)?;
        Ok(i32::try_from(dropped).unwrap_or(i32::MAX))
    })
}

/// The project; `None` for `default` that nobody has used yet.
fn used_project(ledger: &Ledger, project: Option<&str>) -> Result<Option<Project>> {
    let name = required(project, "project")?;
    match name {
        project::DEFAULT => ledger.find_project(name),
        name => ledger.project(name).map(Some),
    }
}

/// Columns: release, name, passes, sqlstate, message.
type Verdicts = TableIterator<'static, (String, String, bool, Option<String>, Option<String>)>;

#[pg_extern(sql = false)]
fn contract_check(release: Option<&str>, project: Option<&str>) -> Verdicts {
    TableIterator::new(entry(|| {
        let ledger = Ledger::open()?;
        let release = release.map(release_argument).transpose()?;
        let Some(project) = used_project(&ledger, project)? else {
            return Ok(Vec::new());
        };
        let queries = ledger.contract_queries(&project, release.as_ref())?;
        let verdicts = analysis::judge(queries.iter().map(|query| query.query()))?;
        let rows = queries.into_iter().zip(verdicts).map(|(query, problem)| {
            let (state, message) = problem.map(|p| (p.sqlstate, p.message)).unzip();
            let release = query.release.to_string();
            (release, query.name, state.is_none(), state, message)
        });
        Ok(rows.collect())
    }))
}

/// Columns: release, name, live, classid, objid.
type Uses = TableIterator<'static, (String, String, bool, pg_sys::Oid, pg_sys::Oid)>;

#[pg_extern(sql = false)]
fn contract_uses(project: Option<&str>) -> Uses {
    TableIterator::new(entry(|| {
        let ledger = Ledger::open()?;
        let Some(project) = used_project(&ledger, project)? else {
            return Ok(Vec::new());
        };
        let is_live = ledger.live_releases(&project)?;
        let mut uses = Vec::new();
        for query in ledger.contract_queries(&project, None)? {
            let (release, live) = (query.release.to_string(), is_live(&query.release));
            for object in analysis::objects(query.query())?.unwrap_or_default() {
                let (name, release) = (query.name.clone(), release.clone());
                uses.push((release, name, live, object.class, object.id));
            }
        }
        Ok(uses)
    }))
}
