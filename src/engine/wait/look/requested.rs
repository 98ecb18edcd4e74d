//! A run that was asked of a worker, before it has begun.

use super::refuse_other_project;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::{identity, lock, transaction};

/// What it waits for; `None`: it has ended well. Refuses one that is not there, or did not come to a run.
pub fn unended(ledger: &Ledger, project: &Project, run: i64) -> Result<Option<String>> {
    let look = || transaction::as_of_now(|| ledger.run_request(run));
    let Some(mut request) = look()? else {
        return Err(Failure::new(
            Code::Unknown,
            format!("run {run} does not exist"),
            "SELECT id, verb, outcome FROM belay.run ORDER BY id DESC lists the runs; \
             one in a caller's transaction is there when that has committed",
        ));
    };
    refuse_other_project(project, run, &request.project)?;
    // A standby does not see the sessions of its primary.
    let is_alive =
        transaction::is_standby() || ledger.held_keys(lock::RUN_CLASS)?.contains(&(run as u32));
    if request.state == "running" && !is_alive {
        // Its worker holds the lock before it is running and until it has ended, which may have been since the first look.
        request = look()?.unwrap_or(request);
    }
    let failed = |what: String| {
        let hint = "SELECT belay.migrate_start() asks for another run";
        Err(Failure::new(Code::RunFailed, what, hint))
    };
    match (request.state.as_str(), request.error) {
        ("ended", None) => Ok(None),
        ("ended", Some((sqlstate, message))) => {
            // A message may hold data.
            let is_told = identity::role_by_name(&request.role)
                .is_some_and(|role| identity::has_rights_of(identity::current_role(), role));
            match is_told {
                true => failed(format!("run {run} has failed: {message} ({sqlstate})")),
                false => failed(format!("run {run} has failed: {sqlstate}")),
            }
        }
        ("withdrawn", _) => failed(format!("run {run} was withdrawn before it had begun")),
        ("running", _) if !is_alive => failed(format!("run {run} was lost: its worker died")),
        ("running", _) => Ok(Some(format!("run {run} has not ended"))),
        _ => Ok(Some(format!("run {run} waits for a worker"))),
    }
}
