//! Through a table in the order of its key.

use super::statement;
use super::{Backfill, Step, Way};
use crate::error::Result;
use crate::ledger::backfill::{KeyColumn, Progress};
use crate::ledger::table_column::Relation;
use crate::online::session::Session;
use crate::pg::settings;
use crate::pg::spi::Prepared;

/// The statements, prepared: of the first batch and of those after it.
pub struct ByKey {
    bounds: [Prepared; 2],
    /// By whether there is a batch before it, and then whether there is one after it.
    updates: [[Prepared; 2]; 2],
}

impl ByKey {
    /// Prepares them, under the settings that they will run under.
    pub fn prepare(backfill: &Backfill, table: &Relation, key: Vec<KeyColumn>) -> Result<ByKey> {
        let name = &table.quoted;
        let bound = |after: bool| {
            let keys = if after { key.len() } else { 0 };
            Prepared::new(&statement::bound(name, &key, after), keys + 1)
        };
        let update = |after: bool, until: bool| {
            let keys = key.len() * (usize::from(after) + usize::from(until));
            Prepared::new(&statement::update(backfill, name, &key, after, until), keys)
        };
        Ok(ByKey {
            bounds: [bound(false)?, bound(true)?],
            updates: [
                [update(false, false)?, update(false, true)?],
                [update(true, false)?, update(true, true)?],
            ],
        })
    }
}

impl Way for ByKey {
    fn batch(&self, _: &Session, progress: &Progress, size: u32) -> Result<Step> {
        let after = usize::from(progress.cursor.is_some());
        let mut arguments = progress.cursor.clone().unwrap_or_default();
        let mut bounds = arguments.clone();
        bounds.push((size - 1).to_string());
        let last = written_without_doubt(|| self.bounds[after].texts(&bounds))?;
        let until = usize::from(last.is_some());
        arguments.extend(last.iter().flatten().cloned());
        let changed = self.updates[after][until].execute(&arguments)?;
        Ok(Step {
            passed: if last.is_some() { size.into() } else { changed },
            is_last: last.is_none(),
            cursor: last.or_else(|| progress.cursor.clone()),
            leaf: None,
            changed,
        })
    }
}

/// Values are written so that every session reads the same from them.
pub fn written_without_doubt<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let level = settings::open_level();
    settings::set_for_level(c"datestyle", c"ISO");
    settings::set_for_level(c"intervalstyle", c"iso_8601");
    settings::set_for_level(c"extra_float_digits", c"3");
    let value = body()?;
    settings::close_level(level);
    Ok(value)
}
