//! A job from where it stands to where it rests: what is to be done next follows from its row, which is read each time.

use std::cell::{Cell, RefCell};

use belay_core::job::state::State;
use belay_core::job::{Definition, Work};

use super::parameter::Given;
use super::workers::Place;
use super::{ending, operation, pass, question, startup, verbs};
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::job::Job;
use crate::ledger::job::progress::Way;
use crate::online::Session;
use crate::pg::extension::MemberGuard;
use crate::pg::transaction;
use crate::pg::{cancel, client, identity, lock, worker};

/// Who works on a job.
pub struct Worker<'a> {
    /// Its session.
    pub session: &'a Session,
    /// Whether a client waits for the end.
    pub is_finalize: bool,
    /// Whether the job's SQL may not leave the role in force: the session has, or is, another one.
    is_confined: bool,
    /// What went wrong first.
    pub failed: RefCell<Option<Failure>>,
    /// Whether the operation in hand has a limit of time.
    pub is_limited: Cell<bool>,
    /// The operation that was cancelled without a stop, and is done once more.
    pub forgiven: Cell<Option<i32>>,
}

impl Worker<'_> {
    /// Runs the job's SQL as its registrant and nobody else.
    pub fn confined<T>(&self, body: impl FnOnce() -> T) -> T {
        match self.is_confined {
            true => identity::confined(body),
            false => body(),
        }
    }

    /// The operation in hand has this limit, or that of the settings.
    fn limit(&self, own: Option<u32>) {
        self.is_limited
            .set(own.is_some() || guc::statement_timeout() > 0);
    }

    /// The job as it is committed.
    pub fn look(&self, id: i64) -> Result<Job> {
        worker::reload();
        let job = transaction::committed(self.session.mode, || self.session.ledger.job(id))?;
        job.ok_or_else(|| {
            Failure::new(
                Code::Unknown,
                format!("job {id} does not exist any more"),
                "SELECT * FROM belay.job_status() lists the jobs",
            )
        })
    }
}

/// What a background worker runs. What fails is in the job's errors.
pub fn work(session: &Session, id: i64) -> Result<()> {
    let job = transaction::committed(session.mode, || session.ledger.job(id))?;
    let Some(job) = job else {
        return Ok(());
    };
    refuse_others(&job)?;
    let Some(place) = Place::take() else {
        return Ok(());
    };
    // One that gave up the lock just when somebody resumed it takes it again.
    while session
        .ledger
        .job(id)?
        .is_some_and(|job| job.state.is_active())
        && lock::try_hold(lock::JOB_CLASS, id as u32)
    {
        let result = cancel::hold(|| through(session, id, false));
        lock::release(lock::JOB_CLASS, id as u32);
        if let Err(failure) = result {
            place.give_back();
            return Err(failure);
        }
        transaction::commit()?;
    }
    place.give_back();
    Ok(())
}

/// SQL of a job runs as its registrant.
pub fn refuse_others(job: &Job) -> Result<()> {
    match identity::role_name(identity::current_role()) == job.role {
        true => Ok(()),
        false => Err(Failure::new(
            Code::Privilege,
            format!(
                "job \"{}\" runs as role \"{}\", which registered it",
                job.name, job.role
            ),
            format!(
                "SET ROLE {}, or let a worker run it: SELECT belay.job_start({})",
                pgrx::spi::quote_identifier(&job.role),
                job.arguments()
            ),
        )),
    }
}

/// Under the job's lock: until it rests. What failed first, as far as it is in its errors.
pub fn through(session: &Session, id: i64, is_finalize: bool) -> Result<Option<Failure>> {
    let (definition, parameters) = transaction::committed(session.mode, || {
        session.ledger.take_job(id)?;
        let job = session.ledger.lock_job_by_id(id)?;
        let definition = job
            .map(|job| verbs::definition(&session.ledger, &job))
            .transpose()?;
        Ok((definition, session.ledger.job_definition(id)?.1))
    })?;
    let Some(definition) = definition else {
        return Ok(None);
    };
    let _given = Given::new(parameters);
    let _guard = MemberGuard::new(&session.ledger.installed)?;
    let mut worker = Worker {
        session,
        is_finalize,
        is_confined: false,
        failed: RefCell::new(None),
        is_limited: Cell::new(false),
        forgiven: Cell::new(None),
    };
    loop {
        let job = worker.look(id)?;
        let session_role = identity::session_role();
        worker.is_confined = session_role != identity::current_role()
            || identity::role_name(session_role) != job.session_role;
        let way = match job.state {
            State::Starting => Way::Start,
            State::Running | State::Stopping => Way::Forward,
            State::RollingBack => Way::Rollback,
            _ => return Ok(worker.failed.into_inner()),
        };
        let result =
            transaction::attempt(session.mode, client::boundary).and_then(|()| match job.state {
                State::Starting => startup::run(&worker, &job, &definition),
                State::Stopping => ending::settle(&worker, &job),
                State::RollingBack => back(&worker, &job, &definition),
                _ => forward(&worker, &job, &definition),
            });
        if let Err(failure) = result {
            ending::fail(&worker, id, way, failure)?;
        }
    }
}

/// One operation, or the end.
fn forward(worker: &Worker<'_>, job: &Job, definition: &Definition) -> Result<()> {
    let (session, ledger) = (worker.session, &worker.session.ledger);
    let next = usize::try_from(job.operation).unwrap_or(0);
    let Some(operation) = definition.operations.get(next) else {
        return transaction::committed(session.mode, || {
            ledger
                .move_job(job.id, State::Running, State::Completed)
                .map(drop)
        });
    };
    question::check(
        worker,
        job,
        "healthcheck",
        definition.healthcheck.as_deref(),
    )?;
    worker.limit(operation.timeout);
    show(job, Way::Forward);
    match &operation.work {
        Work::Sql(sql) => operation::run(worker, job, Way::Forward, sql, operation.timeout)?,
        Work::Batch(batch) => pass::run(
            worker,
            job,
            definition,
            Way::Forward,
            batch,
            operation.timeout,
        )?,
    }
    if let Some(percent) = question::progress(worker, job, definition.progress.as_deref()) {
        transaction::committed(session.mode, || ledger.note_job_percent(job.id, percent))?;
    }
    Ok(())
}

/// One operation back.
fn back(worker: &Worker<'_>, job: &Job, definition: &Definition) -> Result<()> {
    let (session, ledger) = (worker.session, &worker.session.ledger);
    let this = usize::try_from(job.operation).unwrap_or(0);
    let operation = definition.operations.get(this);
    worker.limit(operation.and_then(|operation| operation.timeout));
    show(job, Way::Rollback);
    match operation.and_then(|operation| {
        operation
            .rollback
            .as_ref()
            .map(|work| (work, operation.timeout))
    }) {
        None => transaction::committed(session.mode, || ledger.retreat_job(job.id, job.operation)),
        Some((Work::Sql(sql), timeout)) => operation::run(worker, job, Way::Rollback, sql, timeout),
        Some((Work::Batch(batch), timeout)) => {
            pass::run(worker, job, definition, Way::Rollback, batch, timeout)
        }
    }
}

fn show(job: &Job, way: Way) {
    let what = match way {
        Way::Rollback => "rollback of operation",
        _ => "operation",
    };
    client::show_activity(&format!(
        "belay: job {} (project {}), {what} {} of {}",
        job.name,
        job.project,
        job.operation + 1,
        job.operations
    ));
}
