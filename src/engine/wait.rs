//! Waiting until others have migrated: polled, with no snapshot and no lock between two looks.
//!
//! What is looked at, and what cannot come by waiting, is in [`mod@look`].

mod look;

use std::time::Duration;

use semver::Version;

use self::look::{Lack, look};
use super::active;
use super::polling::Polling;
use crate::error::{Code, Failure, Result};
use crate::pg::transaction::{self, Mode};
use crate::pg::{client, timeout};

/// One call of `migrate_wait`.
#[derive(Debug)]
pub struct Wait {
    /// Up to this migration.
    pub target: Option<String>,
    /// Up to the last migration of this release.
    pub release: Option<Version>,
    /// Until this run has succeeded.
    pub run: Option<i64>,
    /// How long at most; `None` = without limit.
    pub limit: Option<Duration>,
    /// The project's name.
    pub project: String,
    /// How Belay was called.
    pub mode: Mode,
}

impl Wait {
    /// Whether only a run was asked for.
    fn is_for_run_alone(&self) -> bool {
        self.run.is_some() && self.target.is_none() && self.release.is_none()
    }

    /// What is waited for, in words: who has, or has not, done what.
    fn goal(&self, has: &str) -> String {
        let project = format!("project \"{}\" {has}", self.project);
        match (&self.target, &self.release, self.run) {
            (Some(target), ..) => format!("{project} reached migration \"{target}\""),
            (None, Some(release), _) => format!("{project} reached release {release}"),
            (None, None, Some(run)) => format!("run {run} {has} ended"),
            (None, None, None) => format!("{project} been brought up to date"),
        }
    }
}

/// Waits.
pub fn wait(asked: &Wait) -> Result<()> {
    refuse_where_it_would_wait_for_itself(asked.mode)?;
    // A pause may be longer than a transaction may last; the caller's statement_timeout ends a wait.
    let _no_transaction_timeout = timeout::WithoutTransactionTimeout::new();
    timeout::keep_statement_timeout();
    let mut polling = Polling::begin(asked.limit);
    loop {
        let Some(lack) = look(asked)? else {
            return through(asked, &polling);
        };
        if polling.is_over() {
            return Err(over(asked, &lack, &polling)?);
        }
        if !polling.has_paused() {
            let reason = lack.reason()?;
            client::notice(format!(
                "waiting for project \"{}\": {reason}",
                asked.project
            ));
        }
        transaction::commit_to_defaults()?;
        if transaction::holds_snapshot() {
            return Err(would_hold_snapshot());
        }
        polling.pause()?;
        transaction::read_committed();
    }
}

/// Tells a wait that has ended; what the caller does next runs under its own isolation.
fn through(asked: &Wait, polling: &Polling) -> Result<()> {
    if !polling.has_paused() {
        return Ok(());
    }
    client::notice(format!("{} after {}", asked.goal("has"), polling.waited()));
    transaction::commit_to_defaults()
}

fn refuse_where_it_would_wait_for_itself(mode: Mode) -> Result<()> {
    active::refuse_within_run("wait for migrations")?;
    match mode {
        Mode::Caller => Err(would_hold_snapshot()),
        Mode::TopLevel | Mode::Procedural => Ok(()),
    }
}

fn would_hold_snapshot() -> Failure {
    Failure::new(
        Code::ActiveTransaction,
        "migrate_wait cannot run inside a transaction: it would hold a snapshot while it waits",
        "CALL it outside a transaction block (autocommit), at top level; \
         SELECT * FROM belay.migrate_validate() looks without waiting",
    )
}

/// 55P03, with what is lacking and who is at it.
fn over(asked: &Wait, lack: &Lack, polling: &Polling) -> Result<Failure> {
    let waited = match polling.has_paused() {
        true => format!(" after waiting {}", polling.waited()),
        false => String::new(),
    };
    let told = lack.told()?;
    Ok(Failure::new(
        Code::LockNotAvailable,
        format!("{}{waited}", asked.goal("has not")),
        told.hint,
    )
    .detail(told.facts.join("\n")))
}
