//! A non-transactional migration: statement by statement, each committed with its progress.
//!
//! An ordinary statement commits together with the row that says so. A statement that
//! commits by itself has its intent written first; what it left is looked up on resume.

mod build;
mod resume;
mod touched;

use std::cell::{Cell, OnceCell};
use std::time::Instant;

use belay_core::footprint::Footprint;
use belay_core::plan::PlannedStep;

use self::build::Ground;
use self::resume::{refuse_edited, refuse_session_state};
use super::build::without_lock_timeout;
use super::contract::WatchedQueries;
use super::leftovers;
use super::run::{self, Run};
use super::statements::Surroundings;
use super::transactional::StepRun;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::step::Touched;
use crate::ledger::unfinished::Progress;
use crate::pg::lock_wait::Watch;
use crate::pg::parse::{Alone, Kind, Script, Statement};
use crate::pg::settings::{self, SessionSettings};
use crate::pg::transaction::{self, Mode};
use crate::pg::{client, identity, portal};

pub use resume::checksum;

/// A migration under way.
struct Stepwise<'a> {
    this: &'a StepRun<'a>,
    script: &'a Script,
    step_id: i64,
    /// Whether this session has begun the statement in hand, and so knows how it ended.
    begun: Cell<bool>,
    /// Whether the migration's end is committed.
    ended: Cell<bool>,
    surroundings: Surroundings<'a>,
    footprint: OnceCell<Footprint>,
    watched: OnceCell<WatchedQueries<'a>>,
}

/// Runs the step to its end, or to the statement at which the next run goes on.
pub fn run(run: &Run<'_>, step: &PlannedStep) -> Result<()> {
    let began = Instant::now();
    let mode = run.call.mode;
    let this = run.begin(step);
    let _memory = portal::Memory::enter();
    let _watch = Watch::begin(guc::lock_timeout());
    let opened = transaction::attempt(mode, || open(&this));
    let (script, step_id, progress) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            let failure = this.marked(failure, false);
            run::record_failure(&this, &failure);
            return Err(failure);
        }
    };
    let _own_watch = this.lock_timeout().map(Watch::begin);
    let saved = SessionSettings::save()?;
    let who = identity::identity();
    let stepwise = Stepwise {
        surroundings: Surroundings::new(run.project, mode, this.origin),
        this: &this,
        script: &script,
        step_id,
        begun: Cell::new(false),
        ended: Cell::new(false),
        footprint: OnceCell::new(),
        watched: OnceCell::new(),
    };
    let result = transaction::attempt(mode, || stepwise.prepare_session())
        .and_then(|()| stepwise.go(&progress));
    let restored = stepwise.in_transaction(|| saved.restore());
    let result = result
        .and(restored)
        .and_then(|()| this.refuse_changed_identity(who));
    match result {
        Ok(()) => {
            run::told(step, began);
            Ok(())
        }
        Err(failure) => Err(stepwise.record(failure)?),
    }
}

/// Reads the text, checks what ran before against it, and makes the step visible.
fn open(this: &StepRun<'_>) -> Result<(Script, i64, Option<Progress>)> {
    let text = this.lock_text()?;
    let script = this.parse(text)?;
    refuse_session_state(this, &script)?;
    let progress = this.ledger.progress(this.step.entry.id)?;
    if let Some(progress) = &progress {
        refuse_edited(this, &script, progress)?;
    }
    if let (None, Some(contract)) = (&progress, this.contract) {
        let findings = contract.before_statements(this, text, &script)?;
        this.progress.findings.replace(findings);
    }
    let step_id = this.ledger.open_step(&this.attempt(text))?;
    this.ledger.begin_progress(
        this.project,
        this.step.entry.id,
        step_id,
        this.step.direction,
    )?;
    transaction::commit()?;
    Ok((script, step_id, progress))
}

impl Stepwise<'_> {
    fn prepare_session(&self) -> Result<()> {
        let text = self.this.lock_text()?;
        let lock_timeout = text.lock_timeout.unwrap_or_else(guc::lock_timeout);
        settings::set_text_for_session(c"lock_timeout", &lock_timeout.to_string());
        if let Some(path) = &self.this.project.search_path {
            settings::set_text_for_session(c"search_path", path);
        }
        self.footprint();
        self.watch_queries()?;
        transaction::commit()
    }

    fn go(&self, before: &Option<Progress>) -> Result<()> {
        let first = match before {
            Some(progress) => self.resume(progress)?,
            None => 0,
        };
        for index in first..self.script.statements.len() {
            transaction::attempt(self.this.mode, client::boundary)?;
            self.one(index)?;
        }
        // There may be nothing left to run: an empty text, or one that was cut behind what ran.
        match self.ended.get() {
            true => Ok(()),
            false => self.in_transaction(|| self.end()),
        }
    }

    /// The statement, noted as the one that an error belongs to.
    fn take_in_hand(&self, index: usize) -> Option<&Statement> {
        let statement = self.script.statements.get(index)?;
        self.this.progress.at.set(Some((index, statement.start)));
        Some(statement)
    }

    fn one(&self, index: usize) -> Result<()> {
        let Some(statement) = self.take_in_hand(index) else {
            return Ok(());
        };
        self.begun.set(true);
        let by_itself = match (&statement.kind, self.this.mode) {
            (Kind::Alone(_), _) => true,
            (Kind::MayCommit { .. }, mode) => mode == Mode::TopLevel,
            _ => false,
        };
        if !by_itself {
            return self.in_transaction(|| {
                self.surroundings.run_one(self.script, index, false)?;
                self.surroundings.check_deferred_constraints();
                self.note_done(index)
            });
        }
        let concurrent = build::is_concurrent(statement);
        let _table = match concurrent {
            true => match self.prepare(statement)? {
                Ground::Clear(table) => table,
                Ground::Made => return self.in_transaction(|| self.note_done(index)),
            },
            false => None,
        };
        self.in_transaction(|| {
            let leaves = leftovers::describe(statement)?;
            self.this
                .ledger
                .note_intent(self.this.step.entry.id, Some(leaves))
        })?;
        let run = || self.surroundings.run_one(self.script, index, true);
        match concurrent {
            true => self.in_transaction(|| without_lock_timeout(run))?,
            false => self.in_transaction(run)?,
        }
        self.in_transaction(|| self.note_done(index))
    }

    /// The statement's progress; the last one's together with the end of the migration.
    fn note_done(&self, index: usize) -> Result<()> {
        self.this
            .ledger
            .note_done(self.this.step.entry.id, &checksum(self.script, index))?;
        if index + 1 == self.script.statements.len() {
            self.end()?;
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        self.report_queries()?;
        let text = self.this.lock_text()?;
        self.this.ledger.end_progress(self.this.step.entry.id)?;
        let touched = Touched {
            footprint: self.footprint(),
            cumulative: false,
        };
        self.this
            .ledger
            .close_step(&self.this.attempt(text), self.step_id, touched)?;
        self.this
            .announce(run::outcome_of(self.this.step.direction));
        self.ended.set(true);
        Ok(())
    }

    /// Of the queries that pass before the next statement, those that have to pass after the last.
    fn watch_queries(&self) -> Result<()> {
        if let Some(contract) = self.this.contract
            && let Some(watched) = contract.watch_queries(self.this)?
        {
            let _ = self.watched.set(watched);
        }
        Ok(())
    }

    /// What is committed stays: the contract's queries are only reported.
    fn report_queries(&self) -> Result<()> {
        if let Some(watched) = self.watched.get() {
            let reported = watched.report(self.this)?;
            let mut findings = self.this.progress.findings.borrow_mut();
            findings.reported.extend(reported);
        }
        Ok(())
    }

    /// What it touches, found before its first statement.
    fn footprint(&self) -> &Footprint {
        let own = self.this.ledger.installed.schema;
        self.footprint
            .get_or_init(|| touched::before(self.script, own))
    }

    fn in_transaction(&self, body: impl FnOnce() -> Result<()>) -> Result<()> {
        transaction::committed(self.this.mode, body)
    }

    /// Writes how far it came. The project stays unfinished; the next run goes on here.
    fn record(&self, failure: Failure) -> Result<Failure> {
        let mut failure = self.this.marked(failure, false);
        if self.ended.get() {
            return Ok(failure);
        }
        let place = self.this.place();
        let repeatable = place
            .statement
            .and_then(|n| {
                self.script
                    .statements
                    .get(usize::try_from(n - 1).unwrap_or(usize::MAX))
            })
            .is_some_and(|s| {
                matches!(
                    s.kind,
                    Kind::MayCommit { .. } | Kind::Alone(Alone::Unknowable | Alone::Repeatable)
                )
            });
        // Who has lost the lock does not know how the statement stands: another run may be at it.
        let knows = self.begun.get() && failure.sqlstate() != Code::LockLost.sqlstate();
        if knows {
            failure.add_hint(match place.statement {
                Some(1) => {
                    "nothing of the migration is committed; the next run begins with this statement"
                }
                _ => "the statements before it are committed; the next run resumes at this one",
            });
        }
        run::write_down(self.this, || {
            let (ledger, migration) = (self.this.ledger, self.this.step.entry.id);
            match (knows, repeatable) {
                (true, true) => ledger.forget_intent(migration)?,
                (true, false) => ledger.note_failed(migration)?,
                (false, _) => {}
            }
            ledger.fail_step(self.step_id, place, &failure)?;
            self.this.announce("failed");
            Ok(())
        });
        Ok(failure)
    }
}
