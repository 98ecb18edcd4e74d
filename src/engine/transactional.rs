//! One migration in the transaction that is open, together with its ledger rows.

use std::cell::{Cell, OnceCell, RefCell};

use belay_core::plan::{Direction, PlannedStep};
use belay_core::sql::blank_restrict_lines;
use pgrx::datum::TimestampWithTimeZone;

use super::contract::Contract;
use super::planning::Origin;
use super::statements::{self, Surroundings};
use super::{lock_waits, place};
use crate::error::{Code, Failure, Result};
use crate::footprint;
use crate::guc;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::registry::Text;
use crate::ledger::step::{Attempt, Findings, Place, Touched};
use crate::pg::transaction::Mode;
use crate::pg::{client, identity, parse, settings};

/// One step of a run.
pub struct StepRun<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The project.
    pub project: &'a Project,
    /// The run's id.
    pub run: i64,
    /// How Belay was called.
    pub mode: Mode,
    /// What is planned.
    pub step: &'a PlannedStep,
    /// Whose text it is.
    pub origin: Origin,
    /// Whether its transaction holds more than this step.
    pub shares_transaction: bool,
    /// When it began.
    pub started_at: TimestampWithTimeZone,
    /// current_user then; a migration may change it on its way.
    pub role: String,
    /// What it is held to; `None`: no text runs.
    pub contract: Option<&'a Contract>,
    /// How far it came: what its record and its error need, also after an error.
    pub progress: Progress,
}

impl Progress {
    /// Lets go of the SQL when it has run; what the step's record needs stays.
    pub fn forget_sql(&mut self) {
        self.sql = OnceCell::new();
        if let Some(text) = self.text.get_mut() {
            text.sql = None;
        }
    }
}

/// How far a step came.
#[derive(Default)]
pub struct Progress {
    /// The text that runs.
    pub text: OnceCell<Text>,
    /// The SQL that was parsed.
    pub sql: OnceCell<String>,
    /// Number of statements.
    pub statements: Cell<i32>,
    /// The statement in hand: its number from 0, and its first byte.
    pub at: Cell<Option<(usize, usize)>>,
    /// What it did against the contract, and what was kept of it.
    pub findings: RefCell<Findings>,
}

impl<'a> StepRun<'a> {
    /// A step that begins now.
    pub fn new(
        ledger: &'a Ledger,
        project: &'a Project,
        run: i64,
        mode: Mode,
        step: &'a PlannedStep,
        origin: Origin,
    ) -> Self {
        let verb = if step.direction == Direction::Up {
            "applying"
        } else {
            "reverting"
        };
        client::show_activity(&format!(
            "belay: {verb} {} (project {}, run {run})",
            step.entry.name, project.name
        ));
        let (started_at, progress) = (client::now(), Progress::default());
        let role = identity::role_name(identity::current_role());
        StepRun {
            ledger,
            project,
            run,
            mode,
            step,
            origin,
            shares_transaction: mode == Mode::Caller,
            started_at,
            role,
            contract: None,
            progress,
        }
    }

    /// Holds it to a contract.
    pub fn held_to(mut self, contract: &'a Contract) -> Self {
        self.contract = Some(contract);
        self
    }

    /// The migration's name.
    pub fn name(&self) -> &str {
        &self.step.entry.name
    }

    /// The directive lock-timeout of the text, in milliseconds.
    pub fn lock_timeout(&self) -> Option<i32> {
        self.progress.text.get().and_then(|text| text.lock_timeout)
    }

    /// Reads and locks the text.
    pub fn lock_text(&self) -> Result<&Text> {
        match self
            .ledger
            .lock_text(self.step.entry.id, self.step.direction)?
        {
            Some(text)
                if self
                    .origin
                    .definition
                    .is_some_and(|id| id != text.definition_id) =>
            {
                Err(Failure::new(
                    Code::Changed,
                    format!(
                        "migration \"{}\" was replaced while the run was going on",
                        self.name()
                    ),
                    "look at it, then run again; belay.migrate_plan() shows what would run",
                ))
            }
            Some(text) => Ok(self.progress.text.get_or_init(|| text)),
            None => Err(Failure::new(
                Code::Unknown,
                format!(
                    "migration \"{}\" was unregistered while the run was going on",
                    self.name()
                ),
                "run again; belay.migrate_status() shows how it stands",
            )),
        }
    }

    /// Parses the text.
    pub fn parse(&self, text: &Text) -> Result<parse::Script> {
        let sql = statements::required_sql(text, self.name())?;
        let sql = self
            .progress
            .sql
            .get_or_init(|| blank_restrict_lines(sql).into_owned());
        let script = parse::parse(sql)?;
        self.progress
            .statements
            .set(i32::try_from(script.statements.len()).unwrap_or(i32::MAX));
        if script.stripped {
            client::notice(format!(
                "{}: its outer BEGIN and COMMIT were left out",
                self.name()
            ));
        }
        Ok(script)
    }

    /// A row's worth of facts about this attempt.
    pub fn attempt<'b>(&'b self, text: &'b Text) -> Attempt<'b> {
        Attempt {
            run: self.run,
            project: self.project,
            migration: self.step.entry.id,
            name: self.name(),
            direction: self.step.direction,
            text,
            search_path: match &self.project.search_path {
                Some(path) => path.clone(),
                None => settings::get(c"search_path"),
            },
            started_at: self.started_at,
            role: &self.role,
            statements: self.progress.statements.get(),
            findings: self.progress.findings.borrow().clone(),
        }
    }

    /// Runs the step and writes its rows. The caller ends the transaction either way.
    pub fn run_in_transaction(&self) -> Result<()> {
        let level = settings::open_level();
        let _watch = lock_waits::limit_lock_waits(None);
        let text = self.lock_text()?;
        let script = self.parse(text)?;
        let who = identity::identity();
        // Before the trace begins and after it has been read: what a snapshot reads is not the migration's.
        let watched = self.contract.map(|contract| contract.watch(self));
        let watched = watched.transpose()?.flatten();
        footprint::begin();
        let _own_watch = statements::apply_settings(self.project, text);
        let surroundings = Surroundings::new(self.project, self.mode, self.origin);
        surroundings.run_all(&script, &self.progress.at)?;
        surroundings.check_deferred_constraints();
        // While its search_path is in force: names were looked up along it.
        let footprint = guc::footprints().then(|| footprint::collect(self.ledger.installed.schema));
        settings::close_level(level);
        self.refuse_changed_identity(who)?;
        if let Some(watched) = watched {
            self.progress.findings.replace(watched.judge(self, text)?);
        }
        let touched = footprint.as_ref().map(|footprint| Touched {
            footprint,
            cumulative: self.shares_transaction,
        });
        self.ledger.record_done(&self.attempt(text), touched)
    }

    /// SET ROLE and SET SESSION AUTHORIZATION end with the migration; anything else that
    /// changed who we are must not be committed.
    pub fn refuse_changed_identity(&self, before: identity::Identity) -> Result<()> {
        if identity::identity() == before {
            return Ok(());
        }
        Err(Failure::new(
            Code::Statement,
            format!(
                "migration \"{}\" changed the session's user and did not change it back",
                self.name()
            ),
            "use SET LOCAL ROLE, or RESET ROLE at the end of the migration",
        ))
    }

    /// The place of the statement in hand.
    pub fn place(&self) -> Place {
        let (Some((index, start)), Some(sql)) = (self.progress.at.get(), self.progress.sql.get())
        else {
            return Place::default();
        };
        let before = sql.as_bytes()[..start.min(sql.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let first = self.progress.text.get().map_or(1, |text| text.line);
        Place {
            statement: Some(i32::try_from(index + 1).unwrap_or(i32::MAX)),
            line: Some(
                i32::try_from(before)
                    .unwrap_or(i32::MAX)
                    .saturating_add(first),
            ),
        }
    }

    /// The failure with its place in CONTEXT and position.
    pub fn marked(&self, mut failure: Failure, transactional: bool) -> Failure {
        statements::explain(&mut failure, transactional);
        lock_waits::name_holders(self.ledger, self.mode, &mut failure);
        if self.origin.confined && failure.sqlstate() == "42501" {
            failure.add_hint(
                "SET ROLE is in force, and whoever registered this does not hold the rights of the session's user, so it may not \
                 change the role: connect as that role, or pass trust => with the role that registered it",
            );
        }
        if let Some(text) = self.progress.text.get() {
            let sql = self.progress.sql.get().map_or("", String::as_str);
            place::mark(&mut failure, &self.attempt(text), self.place(), sql);
        }
        failure
    }

    /// Announces the step; delivered by its commit.
    pub fn announce(&self, outcome: &str) {
        if let (Some(text), true) = (self.progress.text.get(), self.mode != Mode::Caller) {
            self.ledger.announce(&self.attempt(text), outcome);
        }
    }
}
