//! Who runs jobs: workers are asked for, by the verbs and by whoever looks which jobs are due.

use std::cell::Cell;

use belay_core::job::state::State;
use pgrx::pg_sys::Oid;

use super::background;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::Ledger;
use crate::ledger::job::Job;
use crate::ledger::job::progress::Way;
use crate::pg::worker::{self, Order, Task};
use crate::pg::{client, identity, lock, transaction};

thread_local! {
    /// The transaction that has sent a visitor last.
    static WOKEN: Cell<u32> = const { Cell::new(0) };
}

/// Asks for a worker for a job that this transaction has made due. Where none is to be had it waits, and a WARNING says so.
pub fn request(ledger: &Ledger, job: &Job) -> Result<()> {
    if !ledger.jobs_are_released()? {
        client::warning(
            format!("job \"{}\" waits: this database is a copy", job.name),
            "SELECT belay.jobs_release() lets its jobs run",
        );
        return Ok(());
    }
    if places(ledger)? > 0 && order(job).is_some_and(Order::start) {
        return Ok(());
    }
    client::warning(
        format!("job \"{}\" waits: there is no worker for it now", job.name),
        "SELECT belay.job_tick() starts it when one of belay.max_workers and of max_worker_processes is free",
    );
    Ok(())
}

/// How many workers more this database may have.
pub fn places(ledger: &Ledger) -> Result<usize> {
    let taken = ledger.held_keys(lock::WORKER_CLASS)?.len();
    let most = usize::try_from(guc::jobs::max_workers()).unwrap_or(0);
    Ok(most.saturating_sub(taken))
}

fn order(job: &Job) -> Option<Order> {
    let role = identity::role_by_name(&job.session_role)?;
    Some(Order::here(role, Task::Job(job.id)))
}

/// What a job that begins by itself may have been waiting for has happened in this transaction: where there is a launcher,
/// somebody looks at once.
pub fn wake(ledger: &Ledger) -> Result<()> {
    let is_looked_into = worker::has_launcher() && !transaction::is_standby();
    if !is_looked_into || ledger.is_template()? || !ledger.jobs_are_released()? {
        return Ok(());
    }
    let order = Order::here(Oid::INVALID, Task::Visit);
    // The visitor waits for this transaction: one is enough.
    if (order.after == 0 || WOKEN.get() != order.after) && order.start() {
        WOKEN.set(order.after);
    }
    Ok(())
}

/// Starts workers for the jobs that are due and have none, but for `except`; how many.
pub fn tick(ledger: &Ledger, except: Option<i64>) -> Result<i32> {
    if transaction::is_standby() {
        return Ok(0);
    }
    let mut places = places(ledger)?;
    let mut started = background::tick(ledger, &mut places)?;
    if !ledger.jobs_are_released()? {
        return Ok(started);
    }
    // In this order: a worker takes the lock before it takes up the job, and keeps it until the job rests.
    let active = ledger.active_jobs()?;
    let busy = ledger.held_keys(lock::JOB_CLASS)?;
    for (job, taken) in active {
        if busy.contains(&(job.id as u32)) || except == Some(job.id) {
            continue;
        }
        if let Some(failure) = given_up(ledger, &job, taken)? {
            give_up(ledger, &job, &failure)?;
        } else if places > 0 {
            if !order(&job).is_some_and(Order::start) {
                return Ok(started);
            }
            places -= 1;
            started += 1;
        }
    }
    for job in ledger.jobs_that_may_begin()? {
        if places == 0 {
            break;
        }
        if begin(ledger, &job)? {
            places -= 1;
            started += 1;
        }
    }
    Ok(started)
}

/// A job begins by itself; whether a worker was started for it.
fn begin(ledger: &Ledger, job: &Job) -> Result<bool> {
    if !ledger.move_job(job.id, State::NotStarted, State::Starting)? {
        return Ok(false);
    }
    ledger.set_default_parameters(job.id)?;
    ledger.hand_over_job(job.id, false)?;
    let job = &Job {
        state: State::Starting,
        ..job.clone()
    };
    match given_up(ledger, job, false)? {
        Some(failure) => give_up(ledger, job, &failure).map(|()| false),
        None => Ok(order(job).is_some_and(Order::start)),
    }
}

/// Why a job gets no worker any more.
fn given_up(ledger: &Ledger, job: &Job, taken: bool) -> Result<Option<Failure>> {
    if let Some(reason) = ledger.keeps_worker_out(&job.session_role, &job.role)? {
        let hint = format!(
            "mend that, then SELECT belay.job_retry({})",
            job.arguments()
        );
        return Ok(Some(Failure::new(Code::Privilege, reason, hint)));
    }
    if taken && !guc::jobs::auto_continue() {
        return Ok(Some(Failure::new(
            Code::Job,
            "its worker has ended before it",
            format!("SELECT belay.job_resume({}) goes on", job.arguments()),
        )));
    }
    Ok(None)
}

fn give_up(ledger: &Ledger, job: &Job, failure: &Failure) -> Result<()> {
    let (to, way) = match job.state {
        State::Starting => (State::FailedAtStartup, Way::Start),
        State::RollingBack => (State::Errored, Way::Rollback),
        _ => (State::Errored, Way::Forward),
    };
    if ledger.move_job(job.id, job.state, to)? {
        let operation = (way != Way::Start).then_some(job.operation);
        ledger.record_job_error(job.id, operation, way, failure)?;
    }
    Ok(())
}

/// The worker of a job could not do it, for a reason that is not in the job's errors yet.
pub fn not_begun(id: i64, failure: &Failure) -> Result<()> {
    let ledger = Ledger::open()?;
    let Some(job) = ledger.job(id)?.filter(|job| job.state.is_active()) else {
        return Ok(());
    };
    let worker = ledger.advisory_lock_holder(lock::JOB_CLASS, id as u32)?;
    match worker {
        Some((pid, _)) if pid != client::pid() => Ok(()),
        _ => give_up(&ledger, &job, failure),
    }
}

/// A place among the workers of this database; `None`: all are taken.
pub struct Place(u32);

impl Place {
    /// Takes one for this session.
    pub fn take() -> Option<Place> {
        let most = u32::try_from(guc::jobs::max_workers()).unwrap_or(0);
        (1..=most)
            .find(|key| lock::try_hold(lock::WORKER_CLASS, *key))
            .map(Place)
    }

    /// Gives it back.
    pub fn give_back(self) {
        lock::release(lock::WORKER_CLASS, self.0);
    }
}

/// Lets the jobs of a copy run; how many are under way. For the extension's owner.
pub fn release(ledger: &Ledger) -> Result<i32> {
    let caller = identity::current_role();
    if !identity::has_rights_of(caller, ledger.installed.owner) {
        return Err(Failure::new(
            Code::Privilege,
            "only the owner of the extension may let the jobs of a copy run",
            format!(
                "ask a member of role {}",
                pgrx::spi::quote_identifier(identity::role_name(ledger.installed.owner))
            ),
        ));
    }
    ledger.release_jobs()?;
    let jobs = ledger.active_jobs()?;
    tick(ledger, None)?;
    wake(ledger)?;
    Ok(i32::try_from(jobs.len()).unwrap_or(i32::MAX))
}
