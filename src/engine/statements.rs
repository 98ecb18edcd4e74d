//! Statements of one migration, one after the other, with what is looked at between them.

use std::cell::Cell;

use super::lock_waits::limit_lock_waits;
use super::planning::Origin;
use super::{contention, lock_waits};
use crate::error::{Code, Failure, Result};
use crate::footprint;
use crate::guc;
use crate::ledger::project::Project;
use crate::ledger::registry::Text;
use crate::pg::lock_wait::Watch;
use crate::pg::parse::Script;
use crate::pg::transaction::{self, Mode};
use crate::pg::{cancel, client, extension, identity, portal, settings, timeout};

/// What the statements of a migration run under.
pub struct Surroundings<'a> {
    /// The project.
    pub project: &'a Project,
    /// How Belay was called.
    pub mode: Mode,
    /// Whose text runs.
    pub origin: Origin,
    /// statement_timeout before the migration, to tell whether it sets one of its own.
    pub outer_statement_timeout: i32,
}

impl<'a> Surroundings<'a> {
    /// As they are now.
    pub fn new(project: &'a Project, mode: Mode, origin: Origin) -> Self {
        let outer_statement_timeout = timeout::session_statement_timeout();
        Surroundings {
            project,
            mode,
            origin,
            outer_statement_timeout,
        }
    }

    /// The limit of the next statement in milliseconds: the migration's own, or Belay's.
    fn limit(&self) -> i32 {
        let now = timeout::session_statement_timeout();
        if now == self.outer_statement_timeout {
            guc::statement_timeout()
        } else {
            now
        }
    }

    /// Runs one statement; `top_level` lets it commit by itself.
    pub fn run_one(&self, script: &Script, index: usize, top_level: bool) -> Result<()> {
        let Some(statement) = script.statements.get(index) else {
            return Ok(());
        };
        timeout::arm_statement_timeout(self.limit());
        cancel::allow(|| -> Result<()> {
            footprint::watch(|| self.confine(|| portal::run(script, statement, top_level)))?;
            if !top_level {
                client::check_interrupts();
            }
            Ok(())
        })?;
        timeout::disarm_statement_timeout();
        extension::refuse_altered_ledger()?;
        contention::keep(self.project, self.mode)
    }

    /// Runs what is deferred to the commit; see [`transaction::check_deferred_constraints`].
    pub fn check_deferred_constraints(&self) {
        footprint::watch(|| {
            self.confine(|| transaction::check_deferred_constraints(self.mode));
        });
    }

    fn confine<T>(&self, body: impl FnOnce() -> T) -> T {
        match self.origin.confined {
            true => identity::confined(body),
            false => body(),
        }
    }

    /// Runs all statements in the transaction that is open; `at` tells which one is in hand.
    pub fn run_all(&self, script: &Script, at: &Cell<Option<(usize, usize)>>) -> Result<()> {
        for (index, statement) in script.statements.iter().enumerate() {
            at.set(Some((index, statement.start)));
            self.run_one(script, index, false)?;
        }
        at.set(None);
        Ok(())
    }
}

/// Applies the settings that a migration runs under, for the innermost level; what [`limit_lock_waits`]
/// has set stays without a directive.
pub fn apply_settings(project: &Project, text: &Text) -> Option<Watch> {
    if let Some(path) = &project.search_path {
        settings::set_text_for_level(c"search_path", path);
    }
    text.lock_timeout
        .map(|timeout| limit_lock_waits(Some(timeout)))
}

/// 25001 and 2D000 from inside a migration mean that it needs to run outside a transaction.
pub fn explain(failure: &mut Failure, transactional: bool) {
    let state = failure.sqlstate();
    lock_waits::explain(failure);
    if transactional && (state == "25001" || state == "2D000") {
        failure.add_hint(
            "the statement cannot run in a transaction: put \"-- belay: transaction off\" at the head of the migration",
        );
    }
}

/// The text of a direction, or the error that it is gone.
pub fn required_sql<'a>(text: &'a Text, name: &str) -> Result<&'a str> {
    text.sql.as_deref().ok_or_else(|| {
        Failure::new(
            Code::Irreversible,
            format!("migration \"{name}\" has no down"),
            "write one, or restore from a backup",
        )
    })
}
