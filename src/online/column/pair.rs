//! The work of the verbs: two columns are begun, completed and ended.

mod carrying;

use super::texts::Texts;
use super::{Asked, Found, carry, obstacles, run_sql, undefined};
use crate::error::{Code, Failure, Result};
use crate::ledger::column_change::{ColumnChange, Pair, Phase};
use crate::online::session::Session;
use crate::online::{attempts, backfill};
use crate::pg::{settings, transaction};

/// A change in hand.
pub struct Work<'a> {
    session: &'a Session,
    asked: &'a Asked,
    found: &'a Found,
    change: Option<ColumnChange>,
}

impl<'a> Work<'a> {
    /// On what was found.
    pub fn on(session: &'a Session, asked: &'a Asked, found: &'a Found) -> Result<Work<'a>> {
        Ok(Work {
            session,
            asked,
            found,
            change: found.change.clone(),
        })
    }

    /// Takes away the trigger whose column somebody has dropped: it would refuse every row.
    pub fn drop_orphan(&self) -> Result<()> {
        let Some(change) = &self.change else {
            return Ok(());
        };
        self.briefly(|| {
            run_sql(&self.texts(change).drop_trigger())?;
            self.session.ledger.note_column_change(change)
        })
    }

    /// Adds the second column, kept in step from that moment.
    pub fn begin(&mut self) -> Result<()> {
        let pair = (self.asked.first.clone(), self.asked.second.clone());
        self.add_copy(pair, Phase::Both)
    }

    /// Adds the column that had gone; of a type change beside the one that has its name.
    pub fn begin_back(&mut self) -> Result<()> {
        let Some(change) = &self.change else {
            return Ok(());
        };
        if change.pair.is_some() {
            return Ok(());
        }
        match self.asked.is_type() {
            true => {
                let copy = format!("belay_{}_{}", change.id, self.asked.first);
                let copy = super::clipped(&copy);
                self.add_copy((self.asked.first.clone(), copy), Phase::New)
            }
            false => {
                let pair = (self.asked.second.clone(), self.asked.first.clone());
                self.add_copy(pair, Phase::Both)
            }
        }
    }

    fn add_copy(&mut self, (source, copy): (String, String), phase: Phase) -> Result<()> {
        self.refuse_columns(&source, &copy)?;
        let known = self.change.clone();
        let change = self.briefly(|| {
            let mut change = match &known {
                Some(change) => change.clone(),
                None => self.new_change()?,
            };
            change.phase = phase;
            change.pair = Some(Pair {
                source: source.clone(),
                copy: copy.clone(),
                complete: false,
            });
            self.session.ledger.note_column_change(&change)?;
            let texts = self.texts(&change);
            texts.check_conversions()?;
            run_sql(&texts.addition()?)?;
            run_sql(&texts.create_trigger())?;
            let carried = carry::collect(&texts)?;
            let at_once = carried.into_iter().filter(|one| one.at_once);
            run_sql(&at_once.map(|one| one.make).collect::<Vec<_>>())?;
            Ok(change)
        })?;
        self.change = Some(change);
        Ok(())
    }

    fn new_change(&self) -> Result<ColumnChange> {
        let (ledger, table) = (&self.session.ledger, self.found.table.id);
        let types = match &self.asked.types {
            None => None,
            Some(types) => Some(crate::ledger::column_change::Types {
                old: ledger
                    .column_type(table, &self.asked.first)?
                    .unwrap_or_default(),
                ..types.clone()
            }),
        };
        ledger.add_column_change(table, &self.asked.first, &self.asked.second, types.as_ref())
    }

    /// Refuses up front what cannot be changed this way.
    fn refuse_columns(&self, source: &str, copy: &str) -> Result<()> {
        let (ledger, table) = (&self.session.ledger, &self.found.table);
        transaction::committed(self.session.mode, || {
            if ledger.column_type(table.id, source)?.is_none() {
                return Err(undefined(source, self.found));
            }
            if ledger.column_type(table.id, copy)?.is_some() {
                return Err(Failure::new(
                    Code::DuplicateColumn,
                    format!("table {} has a column \"{copy}\" already", table.quoted),
                    "drop or rename it, or choose another name",
                ));
            }
            obstacles::refuse(ledger, table, source, self.copy_type(source))
        })
    }

    /// The type that the other column gets; `None`: the same.
    fn copy_type(&self, source: &str) -> Option<&str> {
        match (&self.change, &self.asked.types) {
            (Some(change), _) => {
                let types = change.types.as_ref()?;
                let from_old = source == change.old && change.phase != Phase::New;
                Some(if from_old { &types.new } else { &types.old })
            }
            (None, Some(types)) => Some(&types.new),
            (None, None) => None,
        }
    }

    /// Brings each row in step, gives the copy what belongs to the source, and verifies. Goes on
    /// where an earlier call stopped.
    pub fn complete(&mut self) -> Result<()> {
        let Some(change) = self.change.clone() else {
            return Ok(());
        };
        if change.pair.as_ref().is_none_or(|pair| pair.complete) {
            return Ok(());
        }
        let texts = self.briefly(|| {
            let texts = self.texts(&change);
            if !self
                .session
                .ledger
                .has_trigger(self.found.table.id, &super::texts::trigger_name(change.id))?
            {
                run_sql(&texts.create_trigger())?;
            }
            Ok(texts)
        })?;
        backfill::run(self.session, &texts.backfill())?;
        self.carry_over(&texts)?;
        self.verify(&texts)?;
        let change = self.briefly(|| {
            let mut change = change.clone();
            match (self.asked.is_type(), change.phase) {
                (true, Phase::New) => self.swap(&mut change)?,
                _ => {
                    change.pair = change.pair.map(|pair| Pair {
                        complete: true,
                        ..pair
                    })
                }
            }
            self.session.ledger.note_column_change(&change)?;
            Ok(change)
        })?;
        backfill::forget(self.session, &texts.backfill())?;
        self.change = Some(change);
        Ok(())
    }

    /// The column of the old type, filled beside, takes the name; the one of the new type steps aside.
    fn swap(&self, change: &mut ColumnChange) -> Result<()> {
        let texts = self.texts(change);
        run_sql(&texts.drop_trigger())?;
        run_sql(&[
            texts.rename_column(&change.old, &change.new),
            texts.rename_column(&texts.copy, &change.old),
        ])?;
        change.phase = Phase::Both;
        change.pair = Some(Pair {
            source: change.new.clone(),
            copy: change.old.clone(),
            complete: true,
        });
        run_sql(&self.texts(change).create_trigger())
    }

    /// Ends the pair: the source stays as it is, or the copy takes its place.
    pub fn end(&mut self, keep_source: bool) -> Result<()> {
        if !keep_source {
            self.complete()?;
        }
        let Some(change) = self.change.clone() else {
            return Ok(());
        };
        let filled = self.briefly(|| {
            let mut change = change.clone();
            let texts = self.texts(&change);
            let statements = match keep_source {
                true => texts.discard()?,
                false => texts.promote(&self.all_made(&texts)?),
            };
            run_sql(&texts.drop_trigger())?;
            run_sql(&statements)?;
            let left = match keep_source {
                true => &texts.source,
                false => &texts.copy,
            };
            let is_new = match (&change.types, change.phase) {
                (Some(_), Phase::New) => true,
                _ => *left == change.new,
            };
            if change.types.is_some() && *left == change.new {
                run_sql(&[texts.rename_column(&change.new, &change.old)])?;
            }
            change.phase = if is_new { Phase::New } else { Phase::Old };
            change.pair = None;
            self.session.ledger.note_column_change(&change)?;
            Ok((change, texts.backfill()))
        })?;
        let (change, fill) = filled;
        backfill::forget(self.session, &fill)?;
        self.change = Some(change);
        Ok(())
    }

    fn texts(&self, change: &ColumnChange) -> Texts {
        Texts::of(&self.found.table, change)
    }

    /// A short transaction under belay.lock_timeout, tried again and again.
    fn briefly<T>(&self, mut body: impl FnMut() -> Result<T>) -> Result<T> {
        let what = match self.asked.is_type() {
            true => format!("type of column \"{}\"", self.asked.first),
            false => format!("rename of column \"{}\"", self.asked.first),
        };
        attempts::committed(self.session, &what, || {
            // That an index takes a constraint's name is no news.
            settings::set_for_level(c"client_min_messages", c"warning");
            body()
        })
    }
}
