//! Through tables without a key, by ranges of blocks, until a pass has changed nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys::Oid;

use super::statement;
use super::{Backfill, Step, Way};
use crate::error::{Code, Failure, Result};
use crate::ledger::backfill::Progress;
use crate::online::session::Session;
use crate::pg::spi::Prepared;

/// Rows that a block is taken to hold, for batches to begin with about as many rows as with a key.
const ROWS_OF_A_BLOCK: u32 = 32;

/// The statements of each table, prepared when its turn comes.
pub struct ByBlocks {
    backfill: Backfill,
    prepared: RefCell<HashMap<Oid, Rc<Prepared>>>,
    /// The table whose pass ended last, and how many rows that changed.
    last_pass: RefCell<(String, i64)>,
}

impl ByBlocks {
    /// For these texts.
    pub fn new(backfill: &Backfill) -> ByBlocks {
        ByBlocks {
            backfill: backfill.clone(),
            prepared: RefCell::default(),
            last_pass: RefCell::default(),
        }
    }

    /// Each pass leaves fewer rows for the next one, or the condition does not tell which are left.
    fn refuse_endless(&self, table: &str, changed: i64) -> Result<()> {
        let before = self.last_pass.replace((table.to_owned(), changed));
        match before.0 == table && before.1 > 0 && changed >= before.1 {
            false => Ok(()),
            true => Err(Failure::new(
                Code::Data,
                format!("{changed} rows of table {table} are updated again and again"),
                "the condition has to be false for a row that has been updated, whatever triggers make of it",
            )),
        }
    }

    fn prepared(&self, leaf: Oid, name: &str) -> Result<Rc<Prepared>> {
        if let Some(known) = self.prepared.borrow().get(&leaf) {
            return Ok(known.clone());
        }
        let made = Rc::new(Prepared::new(
            &statement::update_blocks(&self.backfill, name),
            2,
        )?);
        self.prepared.borrow_mut().insert(leaf, made.clone());
        Ok(made)
    }
}

impl Way for ByBlocks {
    fn batch(&self, session: &Session, progress: &Progress, size: u32) -> Result<Step> {
        // Sizes are looked up for each batch: rows that came meanwhile are met.
        let leaves = session.ledger.leaves(self.backfill.table)?;
        // In a restored copy the tables have other numbers.
        let known = progress
            .leaf
            .filter(|(id, _)| leaves.iter().any(|(leaf, ..)| leaf == id));
        let begun = known.unwrap_or((Oid::INVALID, 0));
        let at = leaves
            .iter()
            .position(|(id, ..)| id.to_u32() >= begun.0.to_u32());
        let Some((leaf, name, blocks)) = at.and_then(|at| leaves.get(at)) else {
            return Ok(Step {
                cursor: None,
                leaf: None,
                passed: 0,
                changed: 0,
                is_last: true,
            });
        };
        let goes_on = *leaf == begun.0;
        let first: i64 = match (&progress.cursor, goes_on) {
            (Some(cursor), true) => cursor
                .first()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            _ => 0,
        };
        let end = (first + i64::from((size / ROWS_OF_A_BLOCK).max(1))).min(*blocks);
        let changed = match first < end {
            true => {
                let range = [format!("({first},0)"), format!("({end},0)")];
                self.prepared(*leaf, name)?.execute(&range)?
            }
            false => 0,
        };
        let in_pass = changed + if goes_on { begun.1 } else { 0 };
        let pass_ends = end >= *blocks;
        if pass_ends {
            self.refuse_endless(name, in_pass)?;
        }
        let (cursor, leaf, is_last) = match (pass_ends, in_pass) {
            (false, _) => (Some(end), Some((*leaf, in_pass)), false),
            (true, 1..) => (Some(0), Some((*leaf, 0)), false),
            (true, _) => {
                let next = at
                    .and_then(|at| leaves.get(at + 1))
                    .map(|(id, ..)| (*id, 0));
                (Some(0), next, next.is_none())
            }
        };
        Ok(Step {
            cursor: cursor.map(|block| vec![block.to_string()]),
            leaf,
            passed: changed,
            changed,
            is_last,
        })
    }
}
