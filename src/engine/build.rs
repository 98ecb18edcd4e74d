//! Concurrent statements and what they leave: an index that somebody is building is waited for, and
//! the table's lock is taken under lock_timeout, so that only what the server itself waits for is
//! waited for without limit.

use std::time::{Duration, Instant};

use super::{contention, leftovers};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::ledger::index::Existing;
use crate::ledger::project::Project;
use crate::pg::lock::{self, HeldTable};
use crate::pg::transaction::{self, Mode};
use crate::pg::{client, settings};
use pgrx::pg_sys::Oid;

/// Between two looks at a build that is waited for.
const PAUSE: Duration = Duration::from_millis(250);
/// How often its progress is told while its phase stays the same.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// On whose behalf indexes are looked at, waited for and dropped.
#[derive(Clone, Copy)]
pub struct Builds<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The project, whose lock is held.
    pub project: &'a Project,
    /// How Belay was called.
    pub mode: Mode,
    /// The migration, for the notices.
    pub migration: &'a str,
}

impl Builds<'_> {
    /// Waits, without a snapshot, while somebody builds the index, and tells how far it is.
    pub fn wait_for_builder(&self, index: &Existing) -> Result<()> {
        let mut told: Option<(String, Instant)> = None;
        while let Some(builder) = self.look(|| self.ledger.find_builder(index))? {
            let news = told.as_ref().is_none_or(|(phase, when)| {
                *phase != builder.phase || when.elapsed() >= TOLD_EVERY
            });
            if news {
                client::notice(format!(
                    "{}: index \"{}\" is being built by {}: {}{}",
                    self.migration, index.name, builder.who, builder.phase, builder.done
                ));
                told = Some((builder.phase, Instant::now()));
            }
            self.look(|| {
                client::sleep(PAUSE);
                client::boundary()?;
                contention::keep(self.project, self.mode)
            })?;
        }
        Ok(())
    }

    /// Takes the lock that concurrent statements take, for the session and as long as lock_timeout
    /// allows. `None` for a table that is not the caller's: the statement itself will be refused.
    pub fn hold(&self, table: Oid) -> Result<Option<HeldTable>> {
        self.look(|| match self.ledger.owns(table)? {
            true => Ok(Some(lock::hold_table(table))),
            false => Ok(None),
        })
    }

    /// Drops an INVALID index of a table that is held, without blocking anybody; waits as long as
    /// other transactions take. Whether it was there and still INVALID.
    pub fn drop_invalid(&self, index: &Existing) -> Result<bool> {
        let now = self.look(|| self.ledger.find_index(Some(&index.schema), &index.name))?;
        match now {
            Some(now) if now.id == index.id && !now.valid => {
                leftovers::run_alone(
                    self.mode,
                    &format!("DROP INDEX CONCURRENTLY {}", index.quoted),
                )?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Looks in a transaction of its own: afterwards no snapshot is held.
    pub fn look<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        transaction::committed(self.mode, body)
    }
}

/// A build waits for other sessions' transactions as long as they take.
pub fn without_lock_timeout(body: impl FnOnce() -> Result<()>) -> Result<()> {
    let lock_timeout = settings::get(c"lock_timeout");
    settings::set_text_for_session(c"lock_timeout", "0");
    transaction::commit()?;
    let result = body();
    settings::set_text_for_session(c"lock_timeout", &lock_timeout);
    result
}
