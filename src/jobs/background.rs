//! Runs by a worker: `migrate_up` for whom cannot wait, and the end of a run from outside.

use pgrx::pg_sys::Oid;
use serde_json::Value;

use super::workers;
use crate::engine;
use crate::engine::call::Call;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::run_request::RunRequest;
use crate::online::Session;
use crate::pg::worker::{Order, Task};
use crate::pg::{cancel, client, error, identity, lock, settings, transaction};

/// Asks for a run; its number.
pub fn start(ledger: &Ledger, project: &Project, options: Value) -> Result<i64> {
    let (role, session) = (identity::current_role(), identity::session_role());
    let steps_down = identity::is_superuser_role(session) && role != session;
    if steps_down && !guc::jobs::allow_superuser() {
        return Err(Failure::new(
            Code::Privilege,
            "a worker would connect as a superuser, and take on another role that could go back",
            "connect as the role that is to run it, or call it as the superuser itself",
        ));
    }
    let (role_name, session_name) = (identity::role_name(role), identity::role_name(session));
    if let Some(reason) = ledger.keeps_worker_out(&session_name, &role_name)? {
        let hint = "call it as a role that may log in, or CALL belay.migrate_up(...) here";
        return Err(Failure::new(Code::Privilege, reason, hint));
    }
    let run = ledger.request_run(project, options)?;
    let is_started = workers::places(ledger)? > 0 && Order::here(session, Task::Run(run)).start();
    if !is_started {
        client::warning(
            format!("run {run} waits: there is no worker for it now"),
            "SELECT belay.job_tick() starts it when one of belay.max_workers and of max_worker_processes is free",
        );
    }
    Ok(run)
}

/// What the worker of a run does. What fails is kept with the request, and in the history as far as it came to a run.
pub fn work(
    session: &Session,
    run: i64,
    call: impl FnOnce(&RunRequest) -> Result<Call>,
) -> Result<()> {
    let ledger = &session.ledger;
    let request = transaction::committed(session.mode, || ledger.run_request(run))?;
    let Some(request) = request else {
        return Ok(());
    };
    if identity::role_name(identity::current_role()) != request.role {
        return Err(Failure::new(
            Code::Privilege,
            format!(
                "run {run} runs as role \"{}\", which asked for it",
                request.role
            ),
            "leave it to its worker: SELECT belay.job_tick()",
        ));
    }
    let Some(place) = workers::Place::take() else {
        return Ok(());
    };
    if lock::try_hold(lock::RUN_CLASS, run as u32) {
        let result = transaction::committed(session.mode, || {
            ledger.move_run_request(run, "waiting", "running")
        });
        let result = result.and_then(|is_mine| match is_mine {
            true => through(session, &request, call),
            false => Ok(()),
        });
        lock::release(lock::RUN_CLASS, run as u32);
        place.give_back();
        return result;
    }
    place.give_back();
    Ok(())
}

/// The worker of a run could not do it, for a reason that is not in its request yet.
pub fn not_begun(run: i64, failure: &Failure) -> Result<()> {
    let ledger = Ledger::open()?;
    let worker = ledger.advisory_lock_holder(lock::RUN_CLASS, run as u32)?;
    match worker {
        Some((pid, _)) if pid != client::pid() => Ok(()),
        _ => ledger.end_run_request(run, Some(failure)),
    }
}

fn through(
    session: &Session,
    request: &RunRequest,
    call: impl FnOnce(&RunRequest) -> Result<Call>,
) -> Result<()> {
    settings::set_text_for_session(c"search_path", &request.search_path);
    transaction::commit()?;
    let result = error::catch(|| engine::run(&call(request)?));
    if result.is_err() {
        transaction::restart();
    }
    cancel::forget();
    transaction::committed(session.mode, || {
        session
            .ledger
            .end_run_request(request.run, result.as_ref().err())
    })
}

/// Starts workers for the runs that wait for one, as far as there are places; ends those whose worker has died. How
/// many were started.
pub fn tick(ledger: &Ledger, places: &mut usize) -> Result<i32> {
    // In this order: a worker takes the lock before the request is running, and keeps it until that has ended.
    let open = ledger.open_run_requests()?;
    if open.is_empty() {
        return Ok(0);
    }
    let busy = ledger.held_keys(lock::RUN_CLASS)?;
    let mut started = 0;
    for request in open {
        if busy.contains(&(request.run as u32)) {
            continue;
        }
        if let Some(failure) = given_up(ledger, &request)? {
            ledger.end_run_request(request.run, Some(&failure))?;
        } else if *places > 0 && order(&request).is_some_and(Order::start) {
            *places -= 1;
            started += 1;
        }
    }
    Ok(started)
}

fn order(request: &RunRequest) -> Option<Order> {
    let role: Oid = identity::role_by_name(&request.session_role)?;
    Some(Order::here(role, Task::Run(request.run)))
}

fn given_up(ledger: &Ledger, request: &RunRequest) -> Result<Option<Failure>> {
    if request.state == "running" {
        return Ok(Some(Failure::new(
            Code::RunFailed,
            "its worker has died",
            "SELECT belay.migrate_start() goes on with what is pending",
        )));
    }
    let reason = ledger.keeps_worker_out(&request.session_role, &request.role)?;
    Ok(reason.map(|reason| Failure::new(Code::Privilege, reason, "mend that, then ask again")))
}

/// Ends a run; `cancelling`, or `withdrawn` where it had not begun.
pub fn cancel(ledger: &Ledger, run: i64) -> Result<&'static str> {
    let request = ledger.run_request(run)?;
    if let Some(request) = &request {
        refuse_strangers(&request.role)?;
        let worker = ledger.advisory_lock_holder(lock::RUN_CLASS, run as u32)?;
        if ledger.move_run_request(run, "waiting", "withdrawn")? {
            return Ok("withdrawn");
        }
        if let Some((pid, _)) = worker.filter(|_| request.state != "ended") {
            cancel::send(pid);
            return Ok("cancelling");
        }
    }
    let Some((role, outcome, pid)) = ledger.run_session(run)? else {
        return Err(match request {
            Some(_) => ended(run, "before it had begun"),
            None => Failure::new(
                Code::Unknown,
                format!("run {run} does not exist"),
                "SELECT id, verb, outcome FROM belay.run ORDER BY id DESC lists the runs",
            ),
        });
    };
    refuse_strangers(&role)?;
    match (outcome, pid) {
        (None, Some(pid)) => {
            cancel::send(pid);
            Ok("cancelling")
        }
        (Some(outcome), _) => Err(ended(run, &outcome)),
        (None, None) => Err(ended(run, "its session has died")),
    }
}

fn ended(run: i64, how: &str) -> Failure {
    Failure::new(
        Code::NotInState,
        format!("run {run} has ended: {how}"),
        format!("SELECT * FROM belay.migrate_history(of_run => {run}) shows what it did"),
    )
}

fn refuse_strangers(role: &str) -> Result<()> {
    let caller = identity::current_role();
    let may = identity::is_superuser_role(caller)
        || identity::role_by_name(role).is_some_and(|role| identity::has_rights_of(caller, role));
    match may {
        true => Ok(()),
        false => Err(Failure::new(
            Code::Privilege,
            format!("the run is one of role \"{role}\""),
            format!(
                "SET ROLE {}, or ask a member of that role",
                pgrx::spi::quote_identifier(role)
            ),
        )),
    }
}
