//! Where transactions begin and end during a run, by how Belay was called.
//!
//! * top level: `CALL` by a client outside a transaction block. Belay commits as it likes.
//! * procedural: `CALL` from PL/pgSQL that may commit. SPI commits; what fails is undone by
//!   a subtransaction, since SPI_rollback is refused while the failed portal's snapshot is active.
//! * caller: inside the caller's transaction. Nothing is committed, a failure ends it all.

use pgrx::pg_sys;

use super::{cancel, error, identity, settings};
use crate::error::{Code, Failure, Result};

/// How Belay was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By a client, outside a transaction block.
    TopLevel,
    /// From a procedure or DO block that may commit.
    Procedural,
    /// Inside the caller's transaction.
    Caller,
}

/// Reads the mode from the call.
///
/// `fcinfo` is the one the server called with.
pub fn mode_of(fcinfo: pg_sys::FunctionCallInfo) -> Mode {
    // SAFETY: for CALL the server sets `context` to a CallContext node; for SELECT to NULL.
    unsafe {
        let context = (*fcinfo).context;
        let atomic = context.is_null()
            || (*context).type_ != pg_sys::NodeTag::T_CallContext
            || (*(context as *mut pg_sys::CallContext)).atomic;
        match atomic {
            true => Mode::Caller,
            false if pg_sys::SPI_inside_nonatomic_context() => Mode::Procedural,
            false => Mode::TopLevel,
        }
    }
}

/// Commits and begins the next transaction, READ COMMITTED and READ WRITE whatever the
/// session's defaults are.
pub fn commit() -> Result<()> {
    commit_to_defaults()?;
    pin_isolation();
    Ok(())
}

/// Commits and begins the next transaction as the session's defaults say; on a standby, too.
pub fn commit_to_defaults() -> Result<()> {
    if identity::is_switched() {
        return Err(Failure::new(
            Code::Internal,
            "a commit was asked for while the ledger's owner is in force",
            "report this; nothing was committed",
        ));
    }
    // SAFETY: called only in the two modes that may commit; SPI_commit puts a new
    // transaction in place also when it fails, and keeps the memory context.
    unsafe {
        pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32);
        pg_sys::SPI_commit();
        pg_sys::SPI_finish();
    }
    Ok(())
}

/// Each query of this transaction, which has no snapshot yet, sees what is committed by then.
pub fn read_committed() {
    // SAFETY: a backend variable that StartTransaction has just set from the default.
    unsafe { pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32 };
}

/// Whether anything in this session holds a snapshot.
pub fn holds_snapshot() -> bool {
    // SAFETY: reads backend variables.
    unsafe { pg_sys::HaveRegisteredOrActiveSnapshot() }
}

/// Whether this server is a standby.
pub fn is_standby() -> bool {
    // SAFETY: reads shared state.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Belay's own transactions do not depend on default_transaction_isolation.
pub fn pin_isolation() {
    // SAFETY: backend variables that StartTransaction has just set from the defaults; no
    // snapshot has been taken in this transaction yet.
    unsafe {
        pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
        pg_sys::XactDeferrable = false;
        pg_sys::XactReadOnly = false;
    }
}

/// Runs `body`; when it fails, what it did in the database is undone (except in the
/// caller's transaction, which the failure will end) and a transaction is open again.
pub fn attempt<T>(mode: Mode, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let who = identity::identity();
    let result = match mode {
        Mode::TopLevel => error::catch(body).inspect_err(|_| restart()),
        Mode::Procedural => in_subtransaction(body),
        Mode::Caller => error::catch(body),
    };
    result.inspect_err(|_| identity::put_back(who))
}

/// Runs `body` and commits what it did. When either fails, it is undone as by [`attempt`]; at top
/// level that includes what a failing COMMIT leaves behind. Not in the caller's transaction.
pub fn committed<T>(mode: Mode, body: impl FnOnce() -> Result<T>) -> Result<T> {
    match mode {
        Mode::TopLevel => attempt(mode, || {
            let value = body()?;
            commit()?;
            Ok(value)
        }),
        Mode::Procedural | Mode::Caller => {
            let value = attempt(mode, body)?;
            commit()?;
            Ok(value)
        }
    }
}

/// Runs `body` and undoes what it did in the database. Top level only, and where nothing else is
/// under way: locks that the session holds on tables are released, too.
pub fn undone<T>(mode: Mode, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let value = attempt(mode, body)?;
    restart();
    Ok(value)
}

/// Aborts the transaction, whatever its state, and begins the next. Top level only.
pub fn restart() {
    // SAFETY: at top level the only portal that outlives the abort is the CALL's own, which
    // is active and left alone, as after ROLLBACK in a procedure.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        pg_sys::AbortCurrentTransaction();
        pg_sys::StartTransactionCommand();
        pg_sys::CurrentMemoryContext = context;
    }
    pin_isolation();
}

fn in_subtransaction<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: as PL/pgSQL does for a block with EXCEPTION: the memory context and the
    // resource owner are put back by hand after the subtransaction has ended.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
        let result = error::catch(body);
        match result.is_ok() {
            true => pg_sys::ReleaseCurrentSubTransaction(),
            false => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}

/// Runs `body`, which only reads the catalogs, and sees what is committed by now and what this transaction
/// did, whatever the isolation level. Settings that it makes, locks that its reading leaves, and what it allocates
/// in the current memory context, go with it.
pub fn looked_at<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    in_undone_subtransaction(|| {
        // SAFETY: a transaction is open; the subtransaction's abort also pops the snapshot when `body` fails.
        unsafe {
            pg_sys::CurrentMemoryContext = pg_sys::CurTransactionContext;
            pg_sys::CommandCounterIncrement();
            pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        }
        let value = body();
        // SAFETY: the snapshot was pushed above, and `body` has popped its own.
        unsafe { pg_sys::PopActiveSnapshot() };
        value
    })
}

/// Runs `body` and undoes what it did in the database, however it ends: the locks that it took, too. What
/// comes after it finds the transaction as it was.
pub fn in_undone_subtransaction<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let who = identity::identity();
    // SAFETY: as in `in_subtransaction`; no query is running in it when it ends.
    let result = unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
        let result = error::catch(body);
        pg_sys::RollbackAndReleaseCurrentSubTransaction();
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
        result
    };
    result.inspect_err(|_| identity::put_back(who))
}

/// Which transaction and subtransaction is open.
pub fn current() -> (u64, u32) {
    // SAFETY: reads the transaction's state; no id is assigned here.
    unsafe {
        let id = pg_sys::GetTopFullTransactionIdIfAny();
        (id.value, pg_sys::GetCurrentSubTransactionId())
    }
}

/// Whether this transaction has written anything.
pub fn writes() -> bool {
    current().0 != 0
}

/// Makes what was written visible to the next query of the same transaction.
pub fn advance() {
    // SAFETY: a transaction is open and no query of ours is running.
    unsafe { pg_sys::CommandCounterIncrement() };
}

/// Runs what is deferred to the commit, so that a violation is the migration's own error.
///
/// As SET CONSTRAINTS ALL IMMEDIATE does, without changing what the next migration's
/// constraints do. In the caller's transaction its own COMMIT checks them.
pub fn check_deferred_constraints(mode: Mode) {
    if mode == Mode::Caller {
        return;
    }
    // SAFETY: no query is running at the top level of a procedure; a transaction is open.
    cancel::allow(|| unsafe { pg_sys::AfterTriggerFireDeferred() });
}

/// Refuses before anything runs where nothing can be written.
pub fn refuse_read_only(mode: Mode) -> Result<()> {
    // SAFETY: reads a backend variable.
    let read_only = unsafe { pg_sys::XactReadOnly };
    if is_standby() {
        return Err(Failure::new(
            Code::ReadOnly,
            "migrations cannot run on a standby",
            "connect to the primary; reading (migrate_status, migrate_plan) works here",
        ));
    }
    let by_default =
        mode != Mode::Caller && settings::get(c"default_transaction_read_only") == "on";
    if read_only || by_default {
        return Err(Failure::new(
            Code::ReadOnly,
            "migrations cannot run in a read-only transaction",
            "SET default_transaction_read_only = off, or begin the transaction READ WRITE",
        ));
    }
    Ok(())
}

/// Runs `body`, whose reading queries see the database as of one moment. Between the transactions of
/// a procedure there is no snapshot; where one is active, that is the moment.
pub fn under_one_snapshot<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: a transaction is open. A snapshot pushed here is popped unless an error
    // takes us out, and then the abort releases it.
    unsafe {
        let push = !pg_sys::ActiveSnapshotSet();
        if push {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let result = body();
        if push {
            pg_sys::PopActiveSnapshot();
        }
        result
    }
}

/// Runs `body`, whose reading queries see what is committed by now: at any isolation, and also where the statement
/// that calls has a snapshot of its own.
pub fn as_of_now<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: a transaction is open; an error that takes us out pops the snapshot with it.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let result = body();
        pg_sys::PopActiveSnapshot();
        result
    }
}
