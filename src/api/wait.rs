//! `CALL belay.migrate_wait()`: until others have migrated.

use pgrx::datum::Interval;
use pgrx::{pg_extern, pg_sys};

use super::verbs::release_argument;
use super::{duration, required};
use crate::engine::wait::{self, Wait};
use crate::error::{Code, Failure, Result, entry};
use crate::pg::transaction;

fn target_argument(target: &str) -> Result<String> {
    match target {
        "" => Err(Failure::new(
            Code::InvalidParameter,
            "target is empty",
            "name a migration, or leave target out to wait for everything that is registered",
        )),
        name => Ok(name.to_owned()),
    }
}

#[pg_extern(sql = false)]
fn migrate_wait(
    target: Option<&str>,
    release: Option<&str>,
    run: Option<i64>,
    wait: Option<Interval>,
    project: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) {
    entry(|| {
        wait::wait(&Wait {
            target: target.map(target_argument).transpose()?,
            release: release.map(release_argument).transpose()?,
            run,
            limit: wait
                .map(|wait| duration(wait, "wait => '0' to look once"))
                .transpose()?,
            project: required(project, "project")?.to_owned(),
            mode: transaction::mode_of(fcinfo),
        })
    });
}
