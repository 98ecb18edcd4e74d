//! Updates of whole tables in batches: each in a transaction of its own that also keeps how far it came.
//!
//! With a key (the primary key, or a unique index without NULLs) the rows are gone through in its order, so that each
//! row that was there at the beginning is met once, whatever happens meanwhile. Without one the blocks of the table are gone
//! through again and again, until a whole pass has changed nothing: an update moves a row, so the condition has to say
//! which rows are left. Rows that come during a backfill are met if their key comes last, and else not: whoever
//! writes them meanwhile writes them as they should be.
//!
//! One batch is held in memory, by the server; nothing here grows with the table.

mod by_blocks;
pub mod by_key;
mod health;
pub mod statement;

use std::time::{Duration, Instant};

use belay_core::batch::next_size;
use pgrx::pg_sys::Oid;

use self::by_blocks::ByBlocks;
use self::by_key::ByKey;
use self::health::Health;
use super::attempts;
use super::session::Session;
use crate::engine::place;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::backfill::Progress;
use crate::ledger::table_column::Relation;
use crate::pg::parse::update;
use crate::pg::portal::Memory;
use crate::pg::{client, lock, settings, transaction};

/// Between two notices of how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// The table.
    pub table: Oid,
    /// What stands between SET and WHERE.
    pub set: String,
    /// Which rows; `None` = all.
    pub condition: Option<String>,
}

/// What a batch did, and where the next one begins.
pub struct Step {
    /// See [`Progress::cursor`].
    cursor: Option<Vec<String>>,
    /// See [`Progress::leaf`].
    leaf: Option<(Oid, i64)>,
    passed: i64,
    changed: i64,
    is_last: bool,
}

/// One way through the rows of a table.
trait Way {
    /// Makes the batch that comes next, of about so many rows, in the open transaction.
    fn batch(&self, session: &Session, progress: &Progress, size: u32) -> Result<Step>;
}

/// Runs a backfill to its end, going on where an earlier call of the same table and texts stopped. Rows changed and batches.
pub fn run(session: &Session, backfill: &Backfill) -> Result<(i64, i64)> {
    let (table, id) = open(session, backfill)?;
    let what = format!("table {} is being updated in the same way", table.quoted);
    session.alone_at(lock::BACKFILL_CLASS, id as u32, &what, || {
        let way = transaction::attempt(session.mode, || way(session, backfill, &table))?;
        let began = Instant::now();
        let progress = taken(session, &table, id)?;
        go(session, &table, way.as_ref(), progress)?;
        let (rows, batches) =
            transaction::committed(session.mode, || session.ledger.finish_backfill(id))?;
        let rate = rows as f64 / began.elapsed().as_secs_f64().max(0.001);
        client::notice(format!(
            "{}: {rows} rows updated in {batches} batches, {} ({rate:.0} rows per second)",
            table.quoted,
            place::duration(began.elapsed())
        ));
        Ok((rows, batches))
    })
}

/// Forgets a backfill whose rows are of no use any more.
pub fn forget(session: &Session, backfill: &Backfill) -> Result<()> {
    transaction::committed(session.mode, || {
        let condition = backfill.condition.as_deref();
        session
            .ledger
            .forget_backfill(backfill.table, &backfill.set, condition)
    })
}

/// Under the lock: how far it is.
fn taken(session: &Session, table: &Relation, id: i64) -> Result<Progress> {
    let progress = transaction::committed(session.mode, || {
        let key = session.ledger.key_columns(table.id)?;
        let names: Vec<String> = key.into_iter().map(|column| column.name).collect();
        session.ledger.take_backfill(id, &names)
    })?;
    progress.ok_or_else(|| {
        Failure::new(
            Code::LockNotAvailable,
            format!(
                "another session has just ended the same update of table {}",
                table.quoted
            ),
            "call again to begin it anew",
        )
    })
}

fn open(session: &Session, backfill: &Backfill) -> Result<(Relation, i64)> {
    let ledger = &session.ledger;
    transaction::committed(session.mode, || {
        let table = ledger.find_relation(backfill.table)?;
        let table = table.filter(|table| ["r", "p"].contains(&table.kind.as_str()));
        let table = table.ok_or_else(|| {
            Failure::new(
                Code::WrongObject,
                "only tables are updated in batches",
                "name the table: 'public.orders'",
            )
        })?;
        if ledger.hides_rows(backfill.table)? {
            return Err(Failure::new(
                Code::Privilege,
                format!("row security hides rows of table {} from you", table.quoted),
                "SET ROLE to a role that bypasses it: rows that are not seen would be left out",
            ));
        }
        refuse_set(session, backfill, &table)?;
        let id = ledger.open_backfill(
            backfill.table,
            &backfill.set,
            backfill.condition.as_deref(),
            guc::batch_size(),
        )?;
        Ok((table, id))
    })
}

fn refuse_set(session: &Session, backfill: &Backfill, table: &Relation) -> Result<()> {
    let _memory = Memory::enter_within();
    let assigned = update::assigned_columns(&backfill.set)?;
    if let Some(condition) = &backfill.condition {
        update::check_condition(condition)?;
    }
    let key = session.ledger.key_columns(backfill.table)?;
    if let Some(column) = key.iter().find(|column| assigned.contains(&column.name)) {
        return Err(Failure::new(
            Code::NotSupported,
            format!(
                "column \"{}\" belongs to the key of table {}, by which the rows are gone through",
                column.name, table.quoted
            ),
            "change the key by a column of its own: CALL belay.change_column_type_concurrently(...)",
        ));
    }
    if key.is_empty() && backfill.condition.is_none() {
        return Err(Failure::new(
            Code::NotSupported,
            format!(
                "table {} has no key: an updated row moves, and would be met again",
                table.quoted
            ),
            "pass \"where\" => the condition that tells which rows are left, as in \"where\" => 'amount_cents IS NULL'",
        ));
    }
    Ok(())
}

fn way(session: &Session, backfill: &Backfill, table: &Relation) -> Result<Box<dyn Way>> {
    let level = settings::open_level();
    surroundings();
    let key = session.ledger.key_columns(backfill.table)?;
    let way: Box<dyn Way> = match key.is_empty() {
        true => Box::new(ByBlocks::new(backfill)),
        false => Box::new(ByKey::prepare(backfill, table, key)?),
    };
    settings::close_level(level);
    Ok(way)
}

/// Each batch has an index or a range of blocks to follow, whatever the statistics say.
pub fn surroundings() {
    settings::set_for_level(c"enable_seqscan", c"off");
    settings::set_for_level(c"jit", c"off");
}

fn go(session: &Session, table: &Relation, way: &dyn Way, mut progress: Progress) -> Result<()> {
    let id = progress.id;
    let mut health = Health::new(id);
    let (mut told, mut rows) = (Instant::now(), 0);
    loop {
        let _memory = Memory::enter_within();
        transaction::attempt(session.mode, client::boundary)?;
        health.wait(session)?;
        let size = u32::try_from(progress.batch_size).unwrap_or(1).max(1);
        let step = attempts::committed(session, &table.quoted, || {
            let began = Instant::now();
            surroundings();
            let step = way.batch(session, &progress, size)?;
            let next = next_size(size, began.elapsed(), guc::batch_time());
            progress.batch_size = i32::try_from(next).unwrap_or(i32::MAX);
            session
                .ledger
                .note_batch(id, &step.noted(progress.batch_size))?;
            Ok(step)
        });
        let step = step.map_err(|failure| marked(failure, table, &progress))?;
        rows += step.changed;
        progress.cursor = step.cursor;
        progress.leaf = step.leaf;
        if step.is_last {
            return Ok(());
        }
        if told.elapsed() >= TOLD_EVERY {
            client::notice(format!("{}: {rows} rows so far", table.quoted));
            told = Instant::now();
        }
        if !guc::batch_pause().is_zero() {
            transaction::attempt(session.mode, || {
                client::sleep(guc::batch_pause());
                Ok(())
            })?;
        }
    }
}

impl Step {
    fn noted(&self, next_size: i32) -> crate::ledger::backfill::Batch<'_> {
        crate::ledger::backfill::Batch {
            cursor: self.cursor.as_deref(),
            leaf: self.leaf,
            passed: self.passed,
            changed: self.changed,
            next_size,
        }
    }
}

fn marked(mut failure: Failure, table: &Relation, progress: &Progress) -> Failure {
    let place = match &progress.cursor {
        None => "the first batch".to_owned(),
        Some(cursor) => format!("the batch after ({})", cursor.join(", ")),
    };
    failure.add_context(&format!(
        "update of table {} in batches, {place}",
        table.quoted
    ));
    if failure.sqlstate() != "57014" {
        failure.add_hint("what the batches before it did is committed; the same call goes on here");
    }
    failure
}
