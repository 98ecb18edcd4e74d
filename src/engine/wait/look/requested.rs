//! A run that was asked of a worker, before it has begun.

use super::refuse_other_project;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::{identity, lock, transaction};

/// What it waits for; `None`: it has ended well. Refuses one that is not there, or did not come to a run.
pub fn unended(ledger: &Ledger, project: &Project, run: i64) -> Result<Option<String>> {
    // In this order: its worker holds the lock until the request has ended.
    let held = ledger.held_keys(lock::RUN_CLASS)?;
    let Some(request) = ledger.run_request(run)? else {
        return Err(Failure::new(
            Code::Unknown,
            format!("run {run} does not exist"),
            "SELECT id, verb, outcome FROM belay.run ORDER BY id DESC lists the runs; \
             one in a caller's transaction is there when that has committed",
        ));
    };
    refuse_other_project(project, run, &request.project)?;
    let is_alive = transaction::is_standby() || held.contains(&(run as u32));
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
