//! What a stopped migration left behind is cleared away, and nothing is run: `migrate_repair`.
//!
//! By what belay.unfinished says of the statement that had begun. What another session left, and
//! what has become valid since, stays.

use super::active::Active;
use super::build::Builds;
use super::contention;
use super::leftovers::{self, At, Finding};
use super::planning::resuming;
use super::{lock_waits, statements};
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::Ledger;
use crate::ledger::leftover::Index;
use crate::ledger::project::{DEFAULT, Project};
use crate::ledger::run::NewRun;
use crate::ledger::unfinished::Stopped;
use crate::pg::extension::MemberGuard;
use crate::pg::lock_wait::Watch;
use crate::pg::settings::{self, SessionSettings};
use crate::pg::transaction::{self, Mode};
use crate::pg::{cancel, client, portal, timeout};

/// One call of `migrate_repair`.
pub struct Repair<'a> {
    /// Only says what it would remove.
    pub dry_run: bool,
    /// The project's name.
    pub project: &'a str,
    /// How Belay was called.
    pub mode: Mode,
}

/// Runs a call.
pub fn repair(call: &Repair<'_>) -> Result<()> {
    let _active = Active::enter()?;
    let ledger = Ledger::open()?;
    transaction::refuse_read_only(call.mode)?;
    refuse_inside(call.mode)?;
    if call.project == DEFAULT && ledger.find_project(DEFAULT)?.is_none() {
        client::notice("nothing to repair: nothing is registered");
        return Ok(());
    }
    let project = ledger.project(call.project)?;
    timeout::disarm_statement_timeout();
    let _no_transaction_timeout = timeout::WithoutTransactionTimeout::new();
    cancel::hold(|| {
        contention::take_now(&ledger, &project, call.mode)?;
        contention::release_after(&project, call.mode, || under_lock(&ledger, &project, call))
    })
}

/// It commits, and drops without blocking: both need the top level. A dry run is refused where
/// the repair itself would be.
fn refuse_inside(mode: Mode) -> Result<()> {
    let place = match mode {
        Mode::TopLevel => return Ok(()),
        Mode::Procedural => "from a procedure or DO block",
        Mode::Caller => "inside the caller's transaction",
    };
    Err(Failure::new(
        Code::ActiveTransaction,
        format!("migrate_repair commits by itself and cannot run {place}"),
        "CALL it from the client, at top level, outside a transaction block (autocommit)",
    ))
}

/// Nobody runs now, so what is found invalid is not being built by a run.
fn under_lock(ledger: &Ledger, project: &Project, call: &Repair<'_>) -> Result<()> {
    transaction::commit()?;
    let Some(stopped) = ledger.stopped(project)? else {
        client::notice(format!(
            "nothing to repair: no migration of project \"{}\" is unfinished",
            project.name
        ));
        return Ok(());
    };
    let found = Found {
        ledger,
        project,
        stopped: &stopped,
    };
    match found.look()? {
        Finding::Clear(indexes) if call.dry_run => {
            for index in &indexes {
                client::notice(format!("would remove {}", found.named(index)));
            }
            Ok(())
        }
        Finding::Clear(indexes) => found.remove(&indexes, call.mode),
        finding => {
            found.tell_nothing(&finding);
            Ok(())
        }
    }
}

/// What is known of the migration that stopped.
struct Found<'a> {
    ledger: &'a Ledger,
    project: &'a Project,
    stopped: &'a Stopped,
}

impl Found<'_> {
    fn place(&self) -> At<'_> {
        At {
            project: &self.project.name,
            migration: &self.stopped.name,
            direction: self.stopped.direction,
            statement: self.stopped.progress.statement,
            statements: self.stopped.statements,
        }
    }

    fn look(&self) -> Result<Finding> {
        let progress = &self.stopped.progress;
        match progress.started && !self.is_nowhere() {
            true => leftovers::look(progress.leaves.as_ref()),
            false => Ok(Finding::Repeat),
        }
    }

    /// Belay 0.1.0 noted names as they were written: only a run, which repeats the migration's SET
    /// search_path, knows what they mean.
    fn is_nowhere(&self) -> bool {
        let leaves = self.stopped.progress.leaves.as_ref();
        leaves.is_some_and(|leaves| leaves["there"] == true && leaves["schema"].is_null())
    }

    fn named(&self, index: &Index) -> String {
        format!(
            "invalid index \"{}\", which statement {} of {} left",
            index.name, self.stopped.progress.statement, self.stopped.name
        )
    }

    fn tell_nothing(&self, finding: &Finding) {
        let (name, statement) = (&self.stopped.name, self.stopped.progress.statement);
        let next = resuming(self.stopped.direction, self.project);
        let (words, hint) = match finding {
            Finding::Unknown => (self.place().doubt(), self.place().ways_out()),
            Finding::Finish(..) => (
                format!("statement {statement} is half done"),
                format!("{next} finishes it"),
            ),
            _ if self.is_nowhere() => (
                format!("the schema of what statement {statement} works on was not noted"),
                format!("{next} looks after it and goes on"),
            ),
            _ => (
                format!("statement {statement} left nothing behind"),
                format!("{next} goes on with it"),
            ),
        };
        client::notice_with_hint(format!("nothing to remove: {name}: {words}"), hint);
    }

    /// Drops them, each by itself; the run says who did it and when.
    fn remove(&self, indexes: &[Index], mode: Mode) -> Result<()> {
        self.ledger.seal()?;
        let _guard = MemberGuard::new(&self.ledger.installed)?;
        let run = self.begin_run(indexes)?;
        transaction::commit()?;
        let _memory = portal::Memory::enter();
        let saved = SessionSettings::save()?;
        let _watch = Watch::begin(guc::lock_timeout());
        transaction::committed(mode, || {
            settings::set_text_for_session(c"lock_timeout", &guc::lock_timeout().to_string());
            Ok(())
        })?;
        let result = indexes.iter().try_for_each(|index| {
            transaction::attempt(mode, || {
                client::boundary()?;
                contention::keep(self.project, mode)
            })?;
            self.remove_one(index, mode)
        });
        let result = result.map_err(|mut failure| {
            statements::explain(&mut failure, false);
            lock_waits::name_holders(self.ledger, mode, &mut failure);
            failure
        });
        let restored = transaction::committed(mode, || saved.restore());
        let result = result.and(restored);
        let outcome = match result.is_ok() {
            true => "succeeded",
            false => "failed",
        };
        self.ledger.finish_run(run, outcome, 0, 0)?;
        transaction::commit()?;
        result
    }

    /// Nobody may be at work on it: an index of that name may be somebody else's by now.
    fn remove_one(&self, index: &Index, mode: Mode) -> Result<()> {
        let builds = Builds {
            ledger: self.ledger,
            project: self.project,
            mode,
            migration: &self.stopped.name,
        };
        let found = builds.look(|| self.ledger.find_index(Some(&index.schema), &index.name))?;
        if let Some(found) = found {
            builds.wait_for_builder(&found)?;
            let _table = builds.hold(found.table)?;
            if builds.drop_invalid(&found)? {
                client::notice(format!("removed {}", self.named(index)));
                return Ok(());
            }
        }
        client::notice(format!(
            "nothing to remove: index \"{}\" is no longer invalid",
            index.name
        ));
        Ok(())
    }

    fn begin_run(&self, indexes: &[Index]) -> Result<i64> {
        let removes: Vec<&str> = indexes.iter().map(|index| index.quoted.as_str()).collect();
        self.ledger.begin_run(
            self.project,
            &NewRun {
                verb: "repair",
                ordering: self.project.ordering,
                transaction: "per_migration",
                arguments: serde_json::json!({
                    "migration": self.stopped.name,
                    "statement": self.stopped.progress.statement,
                    "indexes": removes,
                }),
                reason: None,
                number: None,
            },
        )
    }
}
