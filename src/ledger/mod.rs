//! Registry, applied set, runs and steps: the only code that reads and writes Belay's tables.
//!
//! Every query runs as the ledger's owner with a fixed search_path and bound values; none
//! runs code of a user's. What a run does for each single migration goes by [`crate::pg::table`]
//! instead: rows are looked up by index and brought in without a query, constraints and the
//! triggers of rows included. What is allowed is decided above, and again by the catalog's triggers.

mod acceptance;
pub mod alteration;
mod announcement;
pub mod backfill;
mod checkin;
pub mod clients;
pub mod column_change;
pub mod contract_query;
pub mod facts;
pub mod index;
pub mod job;
pub mod leftover;
mod lock_holders;
pub mod next_name;
pub mod privileged;
pub mod project;
mod prune;
pub mod registry;
mod release_base;
pub mod rules;
pub mod run;
pub mod run_request;
mod seal;
pub mod step;
pub mod table_column;
pub mod unfinished;
pub mod waiting;

use crate::error::Result;
use crate::pg::extension::{self, Installed};
use crate::pg::identity;
use crate::pg::spi::{self, Row, Value};
use crate::pg::transaction::{self, Mode};

/// The ledger of this database: proof that the extension is there and as old as the library.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The extension's catalog rows.
    pub installed: Installed,
}

impl Ledger {
    /// Finds it; see [`extension::installed`] for what is refused.
    pub fn open() -> Result<Ledger> {
        Ok(Ledger {
            installed: extension::installed()?,
        })
    }

    /// Finds it for writing: a standby and a read-only transaction are refused first, and a
    /// restored ledger is judged.
    pub fn open_to_write() -> Result<Ledger> {
        transaction::refuse_read_only(Mode::Caller)?;
        let ledger = Ledger::open()?;
        ledger.seal()?;
        Ok(ledger)
    }

    fn select<T>(
        &self,
        sql: &'static str,
        arguments: &[Value<'_>],
        map: impl FnMut(Row<'_, '_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        identity::as_owner(self.installed.owner, || spi::select(sql, arguments, map))
    }

    fn select_one<T>(
        &self,
        sql: &'static str,
        arguments: &[Value<'_>],
        map: impl FnMut(Row<'_, '_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.select(sql, arguments, map)?.into_iter().next())
    }

    fn write<T>(
        &self,
        sql: &'static str,
        arguments: &[Value<'_>],
        map: impl FnMut(Row<'_, '_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        identity::as_owner(self.installed.owner, || spi::write(sql, arguments, map))
    }

    fn execute(&self, sql: &'static str, arguments: &[Value<'_>]) -> Result<usize> {
        identity::as_owner(self.installed.owner, || spi::execute(sql, arguments))
    }
}
