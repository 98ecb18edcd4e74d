//! The verbs that commit: `CALL belay.migrate_up()` and its siblings.

use std::str::FromStr;

use belay_core::naming::Phase;
use belay_core::plan::{Request, Target};
use pgrx::datum::Interval;
use pgrx::{pg_extern, pg_sys};
use serde_json::{Map, Value, json};

use super::{count, duration, required, word};
use crate::engine;
use crate::engine::call::{Call, Gate, OnPrivileged};
use crate::error::{Code, Failure, Result, entry};
use crate::jobs::upgrade;
use crate::ledger::Ledger;
use crate::pg::arguments::Arguments;
use crate::pg::extension;
use crate::pg::transaction::{self, Mode};

/// What `steps` counts.
const MIGRATIONS: &str = "a number of migrations";

/// Options that all verbs share, as they were given.
pub struct Options {
    ordering: Option<String>,
    transaction: Option<String>,
    on_contention: Option<String>,
    wait: Option<Interval>,
    reason: Option<String>,
    trust: Option<Vec<Option<String>>>,
    on_privileged: Option<String>,
    gate: Option<String>,
    project: Option<String>,
}

impl Options {
    /// The last arguments of every verb, in this order; what only reverts has no gate.
    pub fn read(arguments: &mut Arguments, has_gate: bool) -> Options {
        Options {
            ordering: arguments.next(),
            transaction: arguments.next(),
            on_contention: arguments.next(),
            wait: arguments.next(),
            reason: arguments.next(),
            trust: arguments.next(),
            on_privileged: arguments.next(),
            gate: has_gate.then(|| arguments.next()).flatten(),
            project: arguments.next(),
        }
    }

    /// For a worker that calls later.
    pub fn to_json(&self) -> Map<String, Value> {
        let wait = self.wait.as_ref().map(|wait| {
            const DAY: i64 = 86_400_000_000;
            let days = i64::from(wait.days()) + 30 * i64::from(wait.months());
            wait.micros().saturating_add(days.saturating_mul(DAY))
        });
        let trust = self.trust.as_ref();
        let values = [
            ("ordering", json!(self.ordering)),
            ("transaction", json!(self.transaction)),
            ("on_contention", json!(self.on_contention)),
            ("wait", json!(wait)),
            ("reason", json!(self.reason)),
            ("trust", json!(trust)),
            ("on_privileged", json!(self.on_privileged)),
            ("gate", json!(self.gate)),
            ("project", json!(self.project)),
        ];
        let values = values.into_iter();
        values
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// As [`Options::to_json`] wrote them.
    pub fn of_json(json: &Value) -> Options {
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let trust = json.get("trust").and_then(Value::as_array);
        let roles = |roles: &Vec<Value>| {
            let role = |role: &Value| role.as_str().map(str::to_owned);
            roles.iter().map(role).collect()
        };
        Options {
            ordering: text("ordering"),
            transaction: text("transaction"),
            on_contention: text("on_contention"),
            wait: json
                .get("wait")
                .and_then(Value::as_i64)
                .map(Interval::from_micros),
            reason: text("reason"),
            trust: trust.map(roles),
            on_privileged: text("on_privileged"),
            gate: text("gate"),
            project: text("project"),
        }
    }

    /// What is asked for, with these options.
    pub fn call(
        self,
        verb: &'static str,
        request: Request,
        mut given: Map<String, Value>,
        mode: Mode,
    ) -> Result<Call> {
        if let Some(gate) = &self.gate {
            given.insert("gate".to_owned(), json!(gate));
        }
        let (transaction, on_contention) = (self.transaction, self.on_contention);
        let (transaction, on_contention) = (transaction.as_deref(), on_contention.as_deref());
        let on_privileged = self.on_privileged.as_deref();
        Ok(Call {
            verb,
            request,
            ordering: word(
                self.ordering.as_deref(),
                "ordering",
                "'strict', 'disjoint' or 'permissive'",
            )?,
            transaction: word(transaction, "transaction", "'per_migration' or 'per_run'")?,
            on_contention: word(on_contention, "on_contention", "'wait' or 'fail'")?,
            wait: self
                .wait
                .map(|wait| duration(wait, "on_contention => 'fail' not to wait"))
                .transpose()?,
            reason: self.reason,
            trust: self
                .trust
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .collect(),
            on_privileged: word(on_privileged, "on_privileged", "'apply' or 'refuse'")?
                .unwrap_or(OnPrivileged::Apply),
            gate: word(
                self.gate.as_deref(),
                "gate",
                "'check', 'wait', 'skip' or 'off'",
            )?
            .unwrap_or(Gate::Check),
            project: required(self.project, "project")?,
            number: None,
            mode,
            arguments: Value::Object(given),
        })
    }
}

/// What was given, without the NULLs, for the run's row.
fn given(arguments: &[(&str, Value)]) -> Map<String, Value> {
    arguments
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
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

/// The jobs that stand in the way of a release stand in that of its migrations. Past them goes who goes past the gate, which
/// the engine lets the owner do for a reason.
pub fn refuse_upgrade(call: &Call) -> Result<()> {
    let Request::Up {
        release: Some(release),
        ..
    } = &call.request
    else {
        return Ok(());
    };
    let ledger = Ledger::open()?;
    match ledger.find_project(&call.project)? {
        Some(project) if call.gate != Gate::Off => {
            let hint = "; or pass gate => 'off' with a reason";
            upgrade::refuse(&ledger, &project, release, hint)
        }
        _ => Ok(()),
    }
}

/// A verb: its own arguments, then those that all verbs share.
///
/// Written once, since they are read one by one in the order of the SQL procedure's. The symbols
/// are those of 0.1.0, whose procedures have fewer arguments: until the extension is updated they
/// end with the version's hint, before an argument is read.
macro_rules! verb {
    ($verb:literal = $function:ident($($argument:ident: $type:ty),+) => $request:expr) => {
        #[pg_extern(sql = false)]
        fn $function(fcinfo: pg_sys::FunctionCallInfo) {
            entry(|| {
                let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
                $(let $argument: Option<$type> = arguments.next();)+
                let options = Options::read(&mut arguments, $verb != "down");
                let given = given(&[$((stringify!($argument), json!($argument))),+]);
                let mode = transaction::mode_of(fcinfo);
                let call = options.call($verb, $request?, given, mode)?;
                refuse_upgrade(&call)?;
                engine::run(&call)
            });
        }
    };
}

verb!("up" = migrate_up(target: String, steps: i32, phase: String, release: String) =>
    up_request(target.as_deref(), steps, phase.as_deref(), release.as_deref()));
verb!("down" = migrate_down(steps: i32) => down_request(steps));
verb!("to" = migrate_to(target: String) => to_request(target.as_deref()));
verb!("redo" = migrate_redo(steps: i32) => redo_request(steps));
