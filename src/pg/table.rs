//! Rows of one table, by index and without a query: what the ledger writes and looks up for
//! every single migration. A row goes in as a subscription's apply worker brings it in, so
//! constraints, indexes and triggers see it; nothing is parsed, planned or checked for rights.

mod find_by_keys;
mod insert;

use std::ffi::CStr;

use pgrx::pg_sys;

use super::row::{Column, Field, Row, column};
use crate::error::{Code, Failure, Result};

/// A table that is open; it is closed on every way out, its lock stays until the transaction ends.
pub struct Table {
    relation: pg_sys::Relation,
    schema: pg_sys::Oid,
}

/// Which rows a look-up means: a column of the index, how it compares, and with what.
pub struct Key<'a>(pub &'a CStr, pub Compare, pub Field<'a>);

/// How the column compares with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// column = value
    Equal,
    /// column > value
    Greater,
    /// column < value
    Less,
}

/// In which order of the index rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// Which rows are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Those that are committed now, whatever the transaction's snapshot is, and its own.
    Now,
    /// Those that the transaction's queries see.
    ByQueries,
}

impl Table {
    /// Opens `schema.name` to look rows up.
    pub fn open(schema: pg_sys::Oid, name: &CStr) -> Result<Table> {
        Table::open_with(schema, name, pg_sys::AccessShareLock)
    }

    /// Opens it to write rows.
    pub fn open_to_write(schema: pg_sys::Oid, name: &CStr) -> Result<Table> {
        Table::open_with(schema, name, pg_sys::RowExclusiveLock)
    }

    fn open_with(schema: pg_sys::Oid, name: &CStr, lock: u32) -> Result<Table> {
        let oid = relation_oid(schema, name)?;
        // SAFETY: a transaction is open; a relation that has gone is an error.
        let relation = unsafe { pg_sys::table_open(oid, lock as i32) };
        Ok(Table { relation, schema })
    }

    /// The first row that `index` finds for which `pick` has an answer.
    pub fn find<T>(
        &self,
        index: &CStr,
        keys: &[Key<'_>],
        order: Order,
        seen: Seen,
        mut pick: impl FnMut(&Row) -> Option<T>,
    ) -> Result<Option<T>> {
        let index = relation_oid(self.schema, index)?;
        // SAFETY: the relation is open and the index one of its own; the scan, its snapshot and
        // the index end here, or with the transaction when an error takes us out. A tuple is
        // used only until the next one is fetched.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let mut keys: Vec<pg_sys::ScanKeyData> = keys
                .iter()
                .map(|key| scan_key(descriptor, key))
                .collect::<Result<_>>()?;
            let index = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
            // An active snapshot, not just a registered one: long values are fetched under it.
            pg_sys::PushActiveSnapshot(match seen {
                Seen::Now => pg_sys::GetLatestSnapshot(),
                Seen::ByQueries => pg_sys::GetTransactionSnapshot(),
            });
            let scan = pg_sys::systable_beginscan_ordered(
                self.relation,
                index,
                pg_sys::GetActiveSnapshot(),
                keys.len() as i32,
                keys.as_mut_ptr(),
            );
            let direction = match order {
                Order::Ascending => pg_sys::ScanDirection::ForwardScanDirection,
                Order::Descending => pg_sys::ScanDirection::BackwardScanDirection,
            };
            let mut found = None;
            let mut row = Row::of_shape(descriptor);
            while found.is_none() {
                let tuple = pg_sys::systable_getnext_ordered(scan, direction);
                if tuple.is_null() {
                    break;
                }
                row.take(tuple);
                found = pick(&row);
            }
            pg_sys::systable_endscan_ordered(scan);
            pg_sys::PopActiveSnapshot();
            pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
            Ok(found)
        }
    }

    /// The row with this key, if there is one.
    pub fn get<T>(
        &self,
        index: &CStr,
        column: &CStr,
        key: i64,
        pick: impl Fn(&Row) -> T,
    ) -> Result<Option<T>> {
        let keys = [Key(column, Compare::Equal, Field::Big(key))];
        self.find(index, &keys, Order::Ascending, Seen::Now, |row| {
            Some(pick(row))
        })
    }

    /// The row with this key, locked FOR SHARE until the transaction ends. Waits for whoever is
    /// changing it, as long as lock_timeout allows.
    pub fn lock<T>(
        &self,
        index: &CStr,
        column: &CStr,
        key: i64,
        pick: impl Fn(&Row) -> T,
    ) -> Result<Option<T>> {
        while let Some(place) = self.get(index, column, key, |row| row.place)? {
            // SAFETY: the place of a row that was visible just now; the buffer stays pinned
            // while the row is looked at.
            unsafe {
                let mut tuple: pg_sys::HeapTupleData = std::mem::zeroed();
                tuple.t_self = place;
                tuple.t_tableOid = (*self.relation).rd_id;
                let mut buffer: pg_sys::Buffer = 0;
                let mut failure: pg_sys::TM_FailureData = std::mem::zeroed();
                let outcome = pg_sys::heap_lock_tuple(
                    self.relation,
                    &mut tuple,
                    pg_sys::GetCurrentCommandId(true),
                    pg_sys::LockTupleMode::LockTupleShare,
                    pg_sys::LockWaitPolicy::LockWaitBlock,
                    false,
                    &mut buffer,
                    &mut failure,
                );
                let locked = outcome == pg_sys::TM_Result::TM_Ok;
                pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
                let picked =
                    locked.then(|| pick(&Row::deform(&mut tuple, (*self.relation).rd_att)));
                pg_sys::PopActiveSnapshot();
                pg_sys::ReleaseBuffer(buffer);
                if locked {
                    return Ok(picked);
                }
            }
            // Somebody changed it meanwhile: look again, as long as nobody gives up waiting.
            pgrx::check_for_interrupts!();
        }
        Ok(None)
    }

    /// Where a column stands in the table's rows.
    pub fn column(&self, name: &CStr) -> Result<Column> {
        // SAFETY: the relation is open.
        let number = unsafe { column((*self.relation).rd_att, name)? };
        Ok(Column(number - 1))
    }

    /// Whether the table holds a row.
    pub fn has_rows(&self, index: &CStr) -> Result<bool> {
        let any = self.find(index, &[], Order::Ascending, Seen::Now, |_| Some(()))?;
        Ok(any.is_some())
    }

    /// Deletes the row with this key, if there is one; its triggers do not run.
    pub fn delete(&self, index: &CStr, column: &CStr, key: i64) -> Result<()> {
        self.delete_all(index, column, &[key])
    }

    /// Deletes the rows with these keys, as far as they are there; no trigger runs, neither of rows
    /// nor of the statement.
    pub fn delete_all(&self, index: &CStr, column: &CStr, keys: &[i64]) -> Result<()> {
        for key in keys {
            pgrx::check_for_interrupts!();
            self.delete_one(index, column, *key)?;
        }
        // SAFETY: a transaction is open; what follows sees what was deleted.
        unsafe { pg_sys::CommandCounterIncrement() };
        Ok(())
    }

    fn delete_one(&self, index: &CStr, column: &CStr, key: i64) -> Result<()> {
        if let Some(mut place) = self.get(index, column, key, |row| row.place)? {
            // SAFETY: the place of a row that was visible just now; somebody else's deleting
            // it at the same time is an error.
            unsafe {
                pg_sys::simple_table_tuple_delete(
                    self.relation,
                    &mut place,
                    pg_sys::GetTransactionSnapshot(),
                );
            }
        }
        Ok(())
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: opened by us; the lock is kept until the transaction ends.
        unsafe { pg_sys::table_close(self.relation, pg_sys::NoLock as i32) };
    }
}

/// The next value of a sequence; the caller needs no right to it.
pub fn next_value(schema: pg_sys::Oid, sequence: &CStr) -> Result<i64> {
    unsafe extern "C-unwind" {
        fn nextval_internal(sequence: pg_sys::Oid, check_permissions: bool) -> i64;
    }
    let oid = relation_oid(schema, sequence)?;
    // SAFETY: commands/sequence.h; the boundary turns an error into a panic of pgrx's.
    Ok(unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(oid, false)) })
}

fn relation_oid(schema: pg_sys::Oid, name: &CStr) -> Result<pg_sys::Oid> {
    // SAFETY: a catalog look-up by a NUL-terminated name.
    let oid = unsafe { pg_sys::get_relname_relid(name.as_ptr(), schema) };
    match oid {
        pg_sys::InvalidOid => Err(Failure::new(
            Code::Version,
            format!("belay.{} is not there", name.to_string_lossy()),
            "ALTER EXTENSION pg_belay UPDATE, or reconnect when that has been done already",
        )),
        oid => Ok(oid),
    }
}

pub(super) unsafe fn scan_key(
    descriptor: pg_sys::TupleDesc,
    key: &Key<'_>,
) -> Result<pg_sys::ScanKeyData> {
    let Key(name, compare, field) = key;
    let strategy = match compare {
        Compare::Equal => pg_sys::BTEqualStrategyNumber,
        Compare::Greater => pg_sys::BTGreaterStrategyNumber,
        Compare::Less => pg_sys::BTLessStrategyNumber,
    };
    let Some((procedure, datum)) = field.comparison(*compare).zip(field.datum()) else {
        return Err(Failure::new(
            Code::Internal,
            "a look-up by a kind of value that has no index",
            "report this",
        ));
    };
    // SAFETY: ScanKeyInit fills the zeroed struct; the procedure compares that type.
    unsafe {
        let mut scan_key: pg_sys::ScanKeyData = std::mem::zeroed();
        pg_sys::ScanKeyInit(
            &mut scan_key,
            column(descriptor, name)? as i16,
            strategy as u16,
            procedure,
            datum,
        );
        Ok(scan_key)
    }
}
