//! Jobs: registering, steering, running, and what stands in the way of a release.

use belay_core::job::state::Verb;
use belay_core::job::window;
use pgrx::iter::TableIterator;
use pgrx::{AnyElement, JsonB, pg_extern, pg_sys};
use serde_json::{Map, Value, json};

use super::required;
use super::verbs::release_argument;
use crate::error::{Code, Failure, Result, entry};
use crate::jobs::{self, parameter, register, upgrade, verbs, workers};
use crate::ledger::Ledger;
use crate::ledger::project::{self, Project};
use crate::online::Session;
use crate::pg::arguments::Arguments;
use crate::pg::transaction::mode_of;
use crate::pg::{extension, spi};

const ROW: &str =
    "SELECT j FROM belay.job j JOIN belay.project p ON p.id OPERATOR(pg_catalog.=) j.project_id
  WHERE p.name OPERATOR(pg_catalog.=) $1 AND j.name OPERATOR(pg_catalog.=) $2";

/// The project of a job; one that was never used has none.
fn project_of(ledger: &Ledger, name: Option<&str>) -> Result<Project> {
    ledger.project(required(name, "project")?)
}

#[pg_extern(sql = false)]
fn job_register(fcinfo: pg_sys::FunctionCallInfo) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let mut arguments = Arguments::of(fcinfo, &ledger.installed);
        let name: String = required(arguments.next(), "name")?;
        let operations: JsonB = required(arguments.next(), "operations")?;
        let mut text = || -> Option<String> { arguments.next() };
        let description = text();
        let depends_on: Option<Vec<Option<String>>> = arguments.next();
        let mut text = || json!(arguments.next::<String>());
        let mut definition = Map::new();
        for key in [
            "min_release",
            "max_release",
            "precheck",
            "healthcheck",
            "is_required",
            "progress",
        ] {
            definition.insert(key.to_owned(), text());
        }
        let parameters: Option<JsonB> = arguments.next();
        let auto_start: bool = required(arguments.next(), "auto_start")?;
        let project: String = required(arguments.next(), "project")?;
        let more = [
            ("operations", operations.0),
            ("description", json!(description)),
            (
                "depends_on",
                json!(depends_on.filter(|names| !names.is_empty())),
            ),
            ("parameters", parameters.map_or(Value::Null, |json| json.0)),
            (
                "auto_start",
                if auto_start { json!(true) } else { Value::Null },
            ),
        ];
        definition.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let project = ledger.lock_project(&ledger.project_for_registration(&project)?)?;
        register::register(&ledger, &project, &name, Value::Object(definition))?;
        spi::composite(ROW, &[spi::bind(project.name), spi::bind(name)])
    })
}

#[pg_extern(sql = false)]
fn job_unregister(name: Option<&str>, project: Option<&str>) -> String {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let project = ledger.lock_project(&project_of(&ledger, project)?)?;
        let state = register::unregister(&ledger, &project, required(name, "name")?)?;
        Ok(state.to_owned())
    })
}

#[pg_extern(sql = false)]
fn job_start(name: Option<&str>, parameters: Option<JsonB>, project: Option<&str>) -> String {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let name = required(name, "name")?;
        let project = project_of(&ledger, project)?;
        let parameters = match parameters.map(|json| json.0) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                return Err(Failure::new(
                    Code::InvalidParameter,
                    "parameters is not a JSON object",
                    "pass parameters => '{\"name\": value}'",
                ));
            }
        };
        let state = verbs::start(&ledger, &project, name, &parameters)?;
        Ok(state.to_string())
    })
}

fn steer(name: Option<&str>, project: Option<&str>, verb: Verb) -> String {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let name = required(name, "name")?;
        let project = project_of(&ledger, project)?;
        Ok(verbs::steer(&ledger, &project, name, verb)?.to_string())
    })
}

#[pg_extern(sql = false)]
fn job_stop(name: Option<&str>, rollback: Option<bool>, project: Option<&str>) -> String {
    let rollback = entry(|| required(rollback, "rollback"));
    steer(
        name,
        project,
        if rollback { Verb::Stop } else { Verb::StopHere },
    )
}

#[pg_extern(sql = false)]
fn job_pause(name: Option<&str>, project: Option<&str>) -> String {
    steer(name, project, Verb::Pause)
}

#[pg_extern(sql = false)]
fn job_resume(name: Option<&str>, project: Option<&str>) -> String {
    steer(name, project, Verb::Resume)
}

#[pg_extern(sql = false)]
fn job_retry(name: Option<&str>, project: Option<&str>) -> String {
    steer(name, project, Verb::Retry)
}

#[pg_extern(sql = false)]
fn job_rollback(name: Option<&str>, force: Option<bool>, project: Option<&str>) -> String {
    let force = entry(|| required(force, "force"));
    steer(
        name,
        project,
        if force {
            Verb::ForceRollback
        } else {
            Verb::Rollback
        },
    )
}

#[pg_extern(sql = false)]
fn job_skip(name: Option<&str>, reason: Option<&str>, project: Option<&str>) -> String {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let (name, reason) = (required(name, "name")?, required(reason, "reason")?);
        let project = project_of(&ledger, project)?;
        Ok(verbs::skip(&ledger, &project, name, reason)?.to_string())
    })
}

#[pg_extern(sql = false)]
fn job_finalize(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
        let name: String = required(arguments.next(), "name")?;
        let project: String = required(arguments.next(), "project")?;
        let session = Session::begin("job_finalize", mode_of(fcinfo))?;
        let project = session.ledger.project(&project)?;
        jobs::finalize(&session, &project, &name)
    });
}

#[pg_extern(sql = false)]
fn job_work(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
        let job: i64 = required(arguments.next(), "job")?;
        let session = Session::begin("job_work", mode_of(fcinfo))?;
        session.refuse_procedural("job_work")?;
        jobs::work(&session, job)
    });
}

#[pg_extern(sql = false)]
fn job_tick() -> i32 {
    entry(|| workers::tick(&Ledger::open()?, None))
}

#[pg_extern(sql = false)]
fn jobs_release() -> i32 {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        workers::release(&ledger)
    })
}

#[pg_extern(sql = false, stable)]
fn job_parameter(name: Option<&str>) -> Option<String> {
    entry(|| parameter::value(required(name, "name")?))
}

#[pg_extern(sql = false, immutable, parallel_safe)]
fn release_window(min: Option<&str>, max: Option<&str>, release: Option<&str>) -> String {
    entry(|| {
        let version = |text: Option<&str>| text.map(release_argument).transpose();
        let (min, max, release) = (version(min)?, version(max)?, version(release)?);
        let window = window::judge(min.as_ref(), max.as_ref(), release.as_ref());
        Ok(window.word().to_owned())
    })
}

/// The columns of belay.upgrade_check: name, state, reason, min_release, max_release, next_command.
type UpgradeRow = (
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    String,
);

type UpgradeRows = TableIterator<'static, UpgradeRow>;

/// The project of an upgrade; without one nothing is in the way.
fn project_for_upgrade(ledger: &Ledger, name: Option<&str>) -> Result<Option<Project>> {
    match required(name, "project")? {
        project::DEFAULT => ledger.find_project(project::DEFAULT),
        name => ledger.project(name).map(Some),
    }
}

#[pg_extern(sql = false)]
fn upgrade_check(release: Option<&str>, project: Option<&str>) -> UpgradeRows {
    let rows = entry(|| {
        let ledger = Ledger::open()?;
        let release = release_argument(required(release, "release")?)?;
        let Some(project) = project_for_upgrade(&ledger, project)? else {
            return Ok(Vec::new());
        };
        upgrade::check(&ledger, &project, &release)
    });
    TableIterator::new(rows.into_iter().map(|row| {
        let job = row.job;
        let state = job.state.to_string();
        (
            job.name,
            state,
            row.reason,
            job.min_release,
            job.max_release,
            row.next_command,
        )
    }))
}

#[pg_extern(sql = false)]
fn upgrade_assert(release: Option<&str>, project: Option<&str>) {
    entry(|| {
        let ledger = Ledger::open()?;
        let release = release_argument(required(release, "release")?)?;
        match project_for_upgrade(&ledger, project)? {
            Some(project) => upgrade::refuse(&ledger, &project, &release, ""),
            None => Ok(()),
        }
    });
}
