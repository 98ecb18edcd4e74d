//! Runs by a worker: `migrate_start`, `run_cancel`, and what the worker calls.

use belay_core::plan::Request;
use pgrx::{pg_extern, pg_sys};
use serde_json::{Value, json};

use super::required;
use super::verbs::{Options, refuse_upgrade, up_request};
use crate::engine::call::Call;
use crate::error::{Result, entry};
use crate::jobs::background;
use crate::ledger::Ledger;
use crate::ledger::run_request::RunRequest;
use crate::online::Session;
use crate::pg::arguments::Arguments;
use crate::pg::extension;
use crate::pg::transaction::{Mode, mode_of};

#[pg_extern(sql = false)]
fn migrate_start(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let mut arguments = Arguments::of(fcinfo, &ledger.installed);
        let target: Option<String> = arguments.next();
        let steps: Option<i32> = arguments.next();
        let phase: Option<String> = arguments.next();
        let release: Option<String> = arguments.next();
        let options = Options::read(&mut arguments, true);
        let mut asked = options.to_json();
        let own = [
            ("target", json!(target)),
            ("steps", json!(steps)),
            ("phase", json!(phase)),
            ("release", json!(release)),
        ];
        for (name, value) in own {
            asked.insert(name.to_owned(), value);
        }
        asked.retain(|_, value| !value.is_null());
        let asked = Value::Object(asked);
        // Whatever can be refused now is.
        let call = call(&asked, Mode::TopLevel, None)?;
        refuse_upgrade(&call)?;
        let project = ledger.project(&call.project)?;
        crate::engine::gate::refuse_call(&project, &call)?;
        background::start(&ledger, &project, asked)
    })
}

/// The call that was asked for.
fn call(asked: &Value, mode: Mode, number: Option<i64>) -> Result<Call> {
    let text = |name: &str| asked.get(name).and_then(Value::as_str);
    let steps = asked.get("steps").and_then(Value::as_i64);
    let steps = steps.map(|steps| i32::try_from(steps).unwrap_or(i32::MAX));
    let request: Request = up_request(text("target"), steps, text("phase"), text("release"))?;
    let mut given = asked.as_object().cloned().unwrap_or_default();
    given.retain(|name, _| ["target", "steps", "phase", "release"].contains(&name.as_str()));
    let call = Options::of_json(asked).call("up", request, given, mode)?;
    Ok(Call { number, ..call })
}

#[pg_extern(sql = false)]
fn run_work(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
        let run: i64 = required(arguments.next(), "run")?;
        let mode = mode_of(fcinfo);
        let session = Session::begin("run_work", mode)?;
        session.refuse_procedural("run_work")?;
        background::work(&session, run, |request: &RunRequest| {
            let call = call(&request.options, mode, Some(request.run))?;
            refuse_upgrade(&call)?;
            Ok(call)
        })
    });
}

#[pg_extern(sql = false)]
fn run_cancel(run: Option<i64>) -> String {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        Ok(background::cancel(&ledger, required(run, "run")?)?.to_owned())
    })
}
