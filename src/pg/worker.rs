//! Background workers: how one is asked for, how it connects, and how it runs a CALL as a client would.
//!
//! A worker that is asked for by a transaction begins before that commits: it waits for its end, and then reads what is
//! there. Whether anything is left to do is for the worker to see.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime,
};
use pgrx::pg_sys::{self, Oid};

use super::parse;
use super::portal::{self, Memory};
use super::{compat, error, settings, timeout, transaction};
use crate::error::Result;

// As the server hands them to its signal calls, without the guards of the bindings.
mod raw {
    unsafe extern "C-unwind" {
        pub fn die(signal: i32);
        pub fn SignalHandlerForConfigReload(signal: i32);
    }
}

/// Whether the postmaster has loaded this library, and with it the launcher.
static PRELOADED: AtomicBool = AtomicBool::new(false);

/// What a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// To look what is due.
    Visit,
    /// A job, by its number.
    Job(i64),
    /// A run, by its number.
    Run(i64),
}

/// What a worker is to do, as it stands in its `bgw_extra`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The database.
    pub database: Oid,
    /// As whom it connects; `INVALID` = the bootstrap superuser.
    pub role: Oid,
    /// For what.
    pub task: Task,
    /// The transaction whose end it waits for; 0 = none.
    pub after: u32,
}

impl Order {
    /// Of this database, after this transaction if it has written.
    pub fn here(role: Oid, task: Task) -> Order {
        // SAFETY: reads the state of the session and its transaction; no id is assigned.
        let (database, after) =
            unsafe { (pg_sys::MyDatabaseId, pg_sys::GetTopTransactionIdIfAny()) };
        Order {
            database,
            role,
            task,
            after: after.into_inner(),
        }
    }

    fn text(self) -> String {
        let (database, role) = (self.database.to_u32(), self.role.to_u32());
        let (kind, number) = match self.task {
            Task::Visit => ("visit", 0),
            Task::Job(job) => ("job", job),
            Task::Run(run) => ("run", run),
        };
        format!("{database} {role} {} {kind} {number}", self.after)
    }

    fn of_text(text: &str) -> Option<Order> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u32>().ok();
        let (database, role) = (number()?, number()?);
        let after = number()?;
        let (kind, number) = (words.next()?, words.next()?.parse().ok()?);
        let task = match kind {
            "visit" => Task::Visit,
            "job" => Task::Job(number),
            "run" => Task::Run(number),
            _ => return None,
        };
        Some(Order {
            database: Oid::from(database),
            role: Oid::from(role),
            task,
            after,
        })
    }

    fn builder(self) -> BackgroundWorkerBuilder {
        let (name, kind) = match self.task {
            Task::Visit => ("pg_belay visitor".to_owned(), "pg_belay visitor"),
            Task::Job(job) => (format!("pg_belay worker of job {job}"), "pg_belay worker"),
            Task::Run(run) => (format!("pg_belay worker of run {run}"), "pg_belay worker"),
        };
        BackgroundWorkerBuilder::new(&name)
            .set_type(kind)
            .set_library("pg_belay")
            .set_function("belay_worker_main")
            .set_extra(&self.text())
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(None)
            .enable_spi_access()
    }

    /// Asks for a worker; false: the server has no place for one.
    pub fn start(self) -> bool {
        self.builder().load_dynamic().is_ok()
    }

    /// Asks for a worker and waits until it has ended; after `limit` it is told to end.
    pub fn start_and_wait(self, limit: Duration) {
        let builder = self.builder().set_notify_pid(super::client::pid());
        let Ok(worker) = builder.load_dynamic() else {
            return;
        };
        let until = Instant::now() + limit;
        loop {
            match worker.pid() {
                Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted) => {}
                Err(_) => return,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                worker.terminate();
                return;
            }
            super::client::sleep(left.min(Duration::from_secs(1)));
        }
    }
}

/// What workers and the launcher do; set when the library is loaded.
static DUTIES: OnceLock<Duties> = OnceLock::new();

struct Duties {
    serve: fn(Order),
    naptime: fn() -> Duration,
}

/// How long the launcher naps.
pub fn naptime() -> Option<Duration> {
    DUTIES.get().map(|duties| (duties.naptime)())
}

/// Says what a worker makes of its order and how long the launcher naps; registers the launcher, if the postmaster is
/// loading this library.
pub fn install(serve: fn(Order), naptime: fn() -> Duration) {
    DUTIES.get_or_init(|| Duties { serve, naptime });
    // SAFETY: reads backend variables. Under pg_upgrade nothing may be begun.
    if unsafe { !pg_sys::process_shared_preload_libraries_in_progress || pg_sys::IsBinaryUpgrade } {
        return;
    }
    PRELOADED.store(true, Ordering::Relaxed);
    BackgroundWorkerBuilder::new("pg_belay launcher")
        .set_type("pg_belay launcher")
        .set_library("pg_belay")
        .set_function("belay_launcher_main")
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(10)))
        .enable_spi_access()
        .load();
}

/// Whether this server has a launcher.
pub fn has_launcher() -> bool {
    PRELOADED.load(Ordering::Relaxed)
}

/// Whether this process is a background worker.
pub fn is_worker() -> bool {
    // SAFETY: reads a backend variable.
    unsafe { !pg_sys::MyBgworkerEntry.is_null() }
}

/// What a worker begins with: it ends at SIGTERM wherever it is, as a session does.
pub fn begin() {
    // SAFETY: the server's own handlers, installed before signals are let in.
    unsafe {
        compat::handle_signal(pg_sys::SIGTERM as i32, raw::die);
        compat::handle_signal(pg_sys::SIGHUP as i32, raw::SignalHandlerForConfigReload);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// The life of a worker, called by the server: it connects, waits for the transaction that has asked for it, and does its duty.
// SAFETY: the name is this extension's own; the server looks it up.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn belay_worker_main(_argument: pg_sys::Datum) {
    begin();
    let Some(order) = Order::of_text(BackgroundWorker::get_extra()) else {
        return;
    };
    let role = (order.role != Oid::INVALID).then_some(order.role);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(order.database), role);
    if order.after != 0 && in_transaction(|| end_of(order.after)).is_err() {
        return;
    }
    if let Some(duties) = DUTIES.get() {
        (duties.serve)(order);
    }
}

/// Waits until a transaction has ended, however long that takes.
fn end_of(transaction: u32) -> Result<()> {
    let _no_transaction_timeout = timeout::WithoutTransactionTimeout::new();
    let level = settings::open_level();
    settings::set_for_level(c"lock_timeout", c"0");
    // SAFETY: a transaction is open; it waits as for the writer of a row, and serves interrupts.
    unsafe {
        pg_sys::XactLockTableWait(
            pg_sys::TransactionId::from_inner(transaction),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            pg_sys::XLTW_Oper::XLTW_None,
        );
    }
    settings::close_level(level);
    Ok(())
}

/// Reads the configuration again, where that was asked for.
pub fn reload() {
    // SAFETY: what the server's own processes do between two pieces of work.
    unsafe {
        if is_worker() && pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Runs `body` in a transaction of its own, which may write whatever the defaults are; what fails is undone, and told in
/// the log.
pub fn in_transaction(body: impl FnOnce() -> Result<()>) -> Result<()> {
    // SAFETY: no transaction is open in a worker between two pieces of work.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        transaction::pin_isolation();
        let result = error::catch(body);
        match &result {
            Ok(()) => pg_sys::CommitTransactionCommand(),
            Err(failure) => {
                pg_sys::AbortCurrentTransaction();
                super::client::log(&failure.to_string());
            }
        }
        result
    }
}

/// Runs a CALL as a client's own does, so that it may commit.
pub fn call(sql: &str) -> Result<()> {
    let memory = Memory::alone();
    super::client::show_activity(sql);
    // SAFETY: as in `in_transaction`; parse tree and plan live in memory that outlives the CALL's transactions, and that
    // nothing which it runs resets.
    let result = unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        let result = error::catch(|| {
            memory.switch();
            let script = parse::parse(sql)?;
            match script.statements.first() {
                Some(statement) => portal::run(&script, statement, true),
                None => Ok(()),
            }
        });
        match &result {
            Ok(()) => pg_sys::CommitTransactionCommand(),
            Err(failure) => {
                memory.switch();
                pg_sys::AbortCurrentTransaction();
                super::client::log(&failure.to_string());
            }
        }
        result
    };
    super::client::show_idle();
    result
}
