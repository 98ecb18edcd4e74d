//! The life of a worker that was asked for.

use super::background;
use super::workers::{self, tick};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::pg::worker::{self, Order, Task};
use crate::pg::{identity, settings};

/// Does what a worker was asked for; when it has done a job, it looks which one is due next.
pub fn serve(order: Order) {
    // What fails is in the log by then.
    let _told = match order.task {
        Task::Visit => worker::in_transaction(|| {
            // The launcher waits for its visitors: one that meets a lock leaves the jobs to the next one.
            settings::set_for_session(c"lock_timeout", c"5s");
            visit(None)
        }),
        Task::Job(job) => {
            let done = worker::in_transaction(|| put_on_job(job))
                .and_then(|()| worker::call(&format!("CALL belay.job_work({job})")));
            // One that cannot work looks for no other job: two such would start each other without end.
            match done {
                Ok(()) => worker::in_transaction(|| visit(Some(job))),
                Err(failure) => worker::in_transaction(|| workers::not_begun(job, &failure)),
            }
        }
        Task::Run(run) => worker::in_transaction(|| put_on_run(run))
            .and_then(|()| worker::call(&format!("CALL belay.run_work({run})")))
            .or_else(|failure| worker::in_transaction(|| background::not_begun(run, &failure))),
    };
}

/// Looks which jobs are due, in a database that may have none.
fn visit(except: Option<i64>) -> Result<()> {
    match Ledger::open() {
        Ok(ledger) => tick(&ledger, except).map(drop),
        Err(_) => Ok(()),
    }
}

fn put_on_job(id: i64) -> Result<()> {
    match Ledger::open()?.job(id)? {
        Some(job) => put_on(&format!("belay job {}", job.name), &job.role),
        None => Ok(()),
    }
}

fn put_on_run(id: i64) -> Result<()> {
    match Ledger::open()?.run_request(id)? {
        Some(request) => put_on(&format!("belay run {id}"), &request.role),
        None => Ok(()),
    }
}

/// From the session role of whoever asked to the role that it had then.
fn put_on(application_name: &str, role: &str) -> Result<()> {
    settings::set_text_for_session(c"application_name", application_name);
    if identity::role_name(identity::current_role()) != role {
        settings::set_text_for_session(c"role", role);
    }
    Ok(())
}
