//! Attempts at something short that takes strong locks: each in a transaction of its own, under
//! belay.lock_timeout, by the runner's engine. There is no last attempt without a limit.

use super::session::Session;
use crate::engine::lock_waits;
use crate::engine::retry::{self, Limits};
use crate::error::{Failure, Result};
use crate::guc;
use crate::pg::parse::{Script, Statement};
use crate::pg::{client, portal, settings, timeout, transaction};

/// Runs `body` and commits what it did, again and again while it does not get its locks in time, as
/// often as belay.lock_retries says. `what` is for the notices. Settings that it makes end with it.
pub fn committed<T>(
    session: &Session,
    what: &str,
    mut body: impl FnMut() -> Result<T>,
) -> Result<T> {
    let between = |pause| {
        transaction::commit()?;
        transaction::attempt(session.mode, || {
            client::sleep(pause);
            client::boundary()
        })
    };
    let attempt = || once(session, &mut body);
    retry::attempts(what, || Ok(Limits::of_session()), between, attempt)
}

/// As [`committed`], for what only looks: whatever `body` does in the database is undone. Locks on tables that the session
/// holds are released.
pub fn undone<T>(session: &Session, what: &str, mut body: impl FnMut() -> Result<T>) -> Result<T> {
    let between = |pause| {
        transaction::attempt(session.mode, || {
            client::sleep(pause);
            client::boundary()
        })
    };
    let attempt = || {
        let looked = transaction::undone(session.mode, || {
            let _watch = lock_waits::limit_lock_waits(None);
            body()
        });
        looked.map_err(|failure| explained(session, failure))
    };
    retry::attempts(what, || Ok(Limits::of_session()), between, attempt)
}

fn once<T>(session: &Session, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = transaction::committed(session.mode, || {
        let level = settings::open_level();
        let _watch = lock_waits::limit_lock_waits(None);
        let value = body()?;
        transaction::check_deferred_constraints(session.mode);
        settings::close_level(level);
        Ok(value)
    });
    result.map_err(|failure| explained(session, failure))
}

/// The failure with who holds the lock, and what can be done about it.
pub fn explained(session: &Session, mut failure: Failure) -> Failure {
    lock_waits::explain(&mut failure);
    lock_waits::name_holders(&session.ledger, session.mode, &mut failure);
    failure
}

/// Runs one statement, which does not commit, under belay.statement_timeout.
pub fn run_statement(script: &Script, statement: &Statement) -> Result<()> {
    timeout::arm_statement_timeout(guc::statement_timeout());
    portal::run(script, statement, false)?;
    client::check_interrupts();
    timeout::disarm_statement_timeout();
    Ok(())
}
