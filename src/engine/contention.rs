//! Taking the project's lock: polled, never waited for in the server's queue, since a
//! waiting transaction would hold up concurrent index builds.

use std::time::Duration;

use super::call::Call;
use super::polling::Polling;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::run::Holder;
use crate::pg::lock::{self, Scope};
use crate::pg::transaction::{self, Mode};
use crate::pg::{client, error};

/// How often, and how far apart, it is tried again while only a waiting session's look is in the way.
const GLIMPSES: u32 = 20;
const GLIMPSE: Duration = Duration::from_millis(5);

/// How taking the lock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// This session holds it.
    Lock,
    /// Another session held it, and what was to be done has been done meanwhile.
    NothingLeft,
}

/// How the lock is held in a mode.
pub fn scope(mode: Mode) -> Scope {
    match mode {
        Mode::Caller => Scope::Transaction,
        Mode::TopLevel | Mode::Procedural => Scope::Session,
    }
}

/// Takes the lock, waiting if the call says so. Of many that have waited, those for whom `is_left`
/// finds nothing to do need not take it one after the other.
pub fn take(
    ledger: &Ledger,
    project: &Project,
    call: &Call,
    is_left: impl Fn() -> Result<bool>,
) -> Result<Taken> {
    refuse_held(project, call.mode)?;
    let mut polling = Polling::begin(call.wait);
    let mut told = false;
    let tell_free = |polling: &Polling| {
        client::notice(format!(
            "project \"{}\" is free after {}",
            project.name,
            polling.waited()
        ));
    };
    loop {
        if told && call.mode != Mode::Caller && lock::is_free(project.id) && !is_left()? {
            tell_free(&polling);
            return Ok(Taken::NothingLeft);
        }
        if lock::try_lock(project.id, scope(call.mode)) {
            if told {
                tell_free(&polling);
            }
            return Ok(Taken::Lock);
        }
        if !call.waits() || polling.is_over() {
            return match try_past_others(ledger, project, call.mode)? {
                Ok(()) => Ok(Taken::Lock),
                Err(holder) => Err(busy(
                    project,
                    holder.as_ref(),
                    told.then(|| polling.waited()),
                    ", or with wait => '5 min'",
                )),
            };
        }
        if !told {
            let holder = ledger.lock_holder(project)?;
            client::notice(format!(
                "waiting for project \"{}\": {}",
                project.name,
                described(holder.as_ref())
            ));
            told = true;
        }
        if call.mode != Mode::Caller {
            transaction::commit()?;
        }
        polling.pause()?;
    }
}

/// Takes the lock, or fails at once (55P03) with who holds it.
pub fn take_now(ledger: &Ledger, project: &Project, mode: Mode) -> Result<()> {
    refuse_held(project, mode)?;
    try_past_others(ledger, project, mode)?
        .map_err(|holder| busy(project, holder.as_ref(), None, ""))
}

/// Takes the lock, or tells who holds it. Sessions that wait for their turn look at it by a shared
/// lock that lasts for a moment: they are no run, and looked past.
fn try_past_others(
    ledger: &Ledger,
    project: &Project,
    mode: Mode,
) -> Result<std::result::Result<(), Option<Holder>>> {
    for _ in 0..GLIMPSES {
        if lock::try_lock(project.id, scope(mode)) {
            return Ok(Ok(()));
        }
        let holder = ledger.lock_holder(project)?;
        if holder.as_ref().is_some_and(|holder| holder.exclusive) {
            return Ok(Err(holder));
        }
        client::sleep(GLIMPSE);
    }
    Ok(Err(ledger.lock_holder(project)?))
}

/// Runs `body` under the lock that was taken, and releases it on every way out. In the caller's
/// transaction it ends with that.
pub fn release_after<T>(
    project: &Project,
    mode: Mode,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let result = error::catch(body);
    if result.is_err() && mode == Mode::TopLevel {
        transaction::restart();
    }
    if mode != Mode::Caller {
        lock::unlock(project.id);
    }
    result
}

/// A lock that the session took by hand would be released under its feet.
fn refuse_held(project: &Project, mode: Mode) -> Result<()> {
    if lock::is_held(project.id) && scope(mode) == Scope::Session {
        return Err(Failure::new(
            Code::Nested,
            format!(
                "this session holds the lock of project \"{}\" already",
                project.name
            ),
            "SELECT pg_advisory_unlock_all() releases what this session took by hand",
        ));
    }
    Ok(())
}

/// Who holds the lock, in words.
pub fn described(holder: Option<&Holder>) -> &str {
    holder.map_or("a session that has just ended", |holder| {
        &holder.description
    })
}

/// 55P03, with who holds the lock; `or` is how the call could wait.
fn busy(project: &Project, holder: Option<&Holder>, waited: Option<String>, or: &str) -> Failure {
    let waited = match waited {
        Some(waited) => format!(" after waiting {waited}"),
        None => String::new(),
    };
    let look = holder.map_or(String::new(), |holder| {
        format!(
            "; SELECT query FROM pg_stat_activity WHERE pid = {} shows what it does",
            holder.pid
        )
    });
    Failure::new(
        Code::LockNotAvailable,
        format!(
            "project \"{}\" is being migrated by another session{waited}",
            project.name
        ),
        format!("run again when it has ended{or}{look}"),
    )
    .detail(described(holder))
}

/// Refuses to go on when the lock has gone, taking it again if it is free.
///
/// A migration may call pg_advisory_unlock_all() or DISCARD ALL.
pub fn keep(project: &Project, mode: Mode) -> Result<()> {
    for _ in 0..GLIMPSES {
        if lock::is_held(project.id) || lock::try_lock(project.id, scope(mode)) {
            return Ok(());
        }
        client::sleep(GLIMPSE);
    }
    Err(Failure::new(
        Code::LockLost,
        format!(
            "the lock of project \"{}\" was lost and another session has taken it",
            project.name
        ),
        "take pg_advisory_unlock_all() or DISCARD ALL out of the migration, then run again",
    ))
}
