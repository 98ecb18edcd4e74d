//! The verbs that commit: `CALL belay.migrate_up()` and its siblings.

use std::str::FromStr;

use belay_core::naming::Phase;
use belay_core::plan::{Request, Target};
use pgrx::datum::Interval;
use pgrx::{pg_extern, pg_sys};
use serde_json::{Map, Value, json};

use super::{count, duration, required, word};
use crate::engine;
use crate::engine::call::Call;
use crate::error::{Code, Failure, Result, entry};
use crate::pg::transaction::{self, Mode};

/// What `steps` counts.
const MIGRATIONS: &str = "a number of migrations";

/// Options that all verbs share, as they were given.
struct Options<'a> {
    ordering: Option<&'a str>,
    transaction: Option<&'a str>,
    on_contention: Option<&'a str>,
    wait: Option<Interval>,
    reason: Option<&'a str>,
    trust: Option<Vec<Option<String>>>,
    project: Option<&'a str>,
}

impl Options<'_> {
    fn call(self, verb: &'static str, request: Request, given: Value, mode: Mode) -> Result<Call> {
        Ok(Call {
            verb,
            request,
            ordering: word(self.ordering, "ordering", "'strict' or 'permissive'")?,
            transaction: word(
                self.transaction,
                "transaction",
                "'per_migration' or 'per_run'",
            )?,
            on_contention: word(self.on_contention, "on_contention", "'wait' or 'fail'")?,
            wait: self
                .wait
                .map(|wait| duration(wait, "on_contention => 'fail' not to wait"))
                .transpose()?,
            reason: self.reason.map(str::to_owned),
            trust: self
                .trust
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .collect(),
            project: required(self.project, "project")?.to_owned(),
            mode,
            arguments: given,
        })
    }
}

/// What was given, without the NULLs, for the run's row.
fn given(arguments: &[(&str, Value)]) -> Value {
    let given: Map<String, Value> = arguments
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    Value::Object(given)
}

/// An up request from its arguments.
pub fn up_request(
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>,
) -> Result<Request> {
    Ok(Request::Up {
        target: target.map(str::to_owned),
        steps: count(steps, "steps", MIGRATIONS)?,
        phase: word::<Phase>(phase, "phase", "'pre' or 'post'")?,
        release: release.map(release_argument).transpose()?,
    })
}

/// A release from its argument.
pub fn release_argument(release: &str) -> Result<semver::Version> {
    belay_core::naming::parse_release(release)
        .map_err(|error| Failure::new(Code::InvalidParameter, error.to_string(), error.hint()))
}

/// A down request from its arguments.
pub fn down_request(steps: Option<i32>) -> Result<Request> {
    let steps = count(Some(required(steps, "steps")?), "steps", MIGRATIONS)?;
    Ok(Request::Down {
        steps: steps.unwrap_or(1),
    })
}

/// A redo request from its arguments.
pub fn redo_request(steps: Option<i32>) -> Result<Request> {
    let steps = count(Some(required(steps, "steps")?), "steps", MIGRATIONS)?;
    Ok(Request::Redo {
        steps: steps.unwrap_or(1),
    })
}

/// A to request from its argument: '' and NULL are errors, an unset variable must not revert everything.
pub fn to_request(target: Option<&str>) -> Result<Request> {
    let target = Target::from_str(required(target, "target")?)
        .map_err(|error| Failure::new(Code::InvalidParameter, error.to_string(), error.hint()))?;
    Ok(Request::To { target })
}

/// A verb: its own arguments, then those that all verbs share.
///
/// Written once, since the function's arguments must be the SQL procedure's, one by one.
macro_rules! verb {
    ($verb:literal = $function:ident($($argument:ident: $type:ty),+) => $request:expr) => {
        #[pg_extern(sql = false)]
        #[allow(
            clippy::too_many_arguments,
            reason = "they are the procedure's arguments"
        )]
        fn $function(
            $($argument: $type,)+
            ordering: Option<&str>,
            transaction: Option<&str>,
            on_contention: Option<&str>,
            wait: Option<Interval>,
            reason: Option<&str>,
            trust: Option<Vec<Option<String>>>,
            project: Option<&str>,
            fcinfo: pg_sys::FunctionCallInfo,
        ) {
            entry(|| {
                let given = given(&[$((stringify!($argument), json!($argument))),+]);
                let options = Options {
                    ordering,
                    transaction,
                    on_contention,
                    wait,
                    reason,
                    trust,
                    project,
                };
                let mode = transaction::mode_of(fcinfo);
                engine::run(&options.call($verb, $request?, given, mode)?)
            });
        }
    };
}

verb!("up" = migrate_up(
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>
) => up_request(target, steps, phase, release));
verb!("down" = migrate_down(steps: Option<i32>) => down_request(steps));
verb!("to" = migrate_to(target: Option<&str>) => to_request(target));
verb!("redo" = migrate_redo(steps: Option<i32>) => redo_request(steps));
