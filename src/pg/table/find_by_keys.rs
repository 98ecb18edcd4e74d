//! Many rows by their keys, one after the other, with one scan.

use std::collections::HashMap;
use std::ffi::CStr;

use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};

use super::{Compare, Key, Order, Seen, Table, relation_oid, scan_key};
use crate::error::Result;
use crate::pg::row::{Field, Row};

impl Table {
    /// The first of the rows with these keys, in the order of the keys, for which `pick` has an
    /// answer; it is told which key it was. A key without a row is passed over.
    pub fn find_by_keys<T>(
        &self,
        index: &CStr,
        column: &CStr,
        keys: &[i64],
        mut pick: impl FnMut(usize, &Row) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(first) = keys.first() else {
            return Ok(None);
        };
        if let Some((low, high)) = dense(keys) {
            return self.find_between(index, column, keys, low, high, pick);
        }
        let index = relation_oid(self.schema, index)?;
        // What `pick` unpacks is let go row by row: there may be many.
        let mut unpacked = PgMemoryContexts::new("belay rows by key");
        // SAFETY: as `find`. The scan's own copy of its one key, whose column is that of the index,
        // gets another value before each rescan (genam.h: SysScanDescData, relscan.h: keyData).
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let mut key = scan_key(descriptor, &Key(column, Compare::Equal, Field::Big(*first)))?;
            let index = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
            pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
            let scan = pg_sys::systable_beginscan_ordered(
                self.relation,
                index,
                pg_sys::GetActiveSnapshot(),
                1,
                &mut key,
            );
            let inner = (*scan).iscan;
            let mut found = None;
            for (at, key) in keys.iter().enumerate() {
                if at > 0 {
                    pgrx::check_for_interrupts!();
                    if let Some(datum) = key.into_datum() {
                        (*(*inner).keyData).sk_argument = datum;
                    }
                    pg_sys::index_rescan(inner, (*inner).keyData, 1, std::ptr::null_mut(), 0);
                }
                let forward = pg_sys::ScanDirection::ForwardScanDirection;
                let tuple = pg_sys::systable_getnext_ordered(scan, forward);
                if tuple.is_null() {
                    continue;
                }
                found = unpacked.switch_to(|_| pick(at, &Row::deform(tuple, descriptor)));
                if found.is_some() {
                    break;
                }
                unpacked.reset();
            }
            pg_sys::systable_endscan_ordered(scan);
            pg_sys::PopActiveSnapshot();
            pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
            Ok(found)
        }
    }

    /// The same by one scan over all that lies between the keys.
    fn find_between<T>(
        &self,
        index: &CStr,
        column: &CStr,
        keys: &[i64],
        low: i64,
        high: i64,
        mut pick: impl FnMut(usize, &Row) -> Option<T>,
    ) -> Result<Option<T>> {
        let places: HashMap<i64, usize> = keys.iter().copied().zip(0..).collect();
        let range = [
            Key(column, Compare::Greater, Field::Big(low.saturating_sub(1))),
            Key(column, Compare::Less, Field::Big(high.saturating_add(1))),
        ];
        let mut unpacked = PgMemoryContexts::new("belay rows by key");
        let mut first: Option<(usize, T)> = None;
        let failed = self.find(index, &range, Order::Ascending, Seen::Now, |row| {
            let key = match row.require::<i64>(column) {
                Ok(key) => key,
                Err(failure) => return Some(failure),
            };
            let at = *places.get(&key)?;
            if first.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
                // SAFETY: what is allocated there is copied, or dropped, before the reset.
                let found = unsafe { unpacked.switch_to(|_| pick(at, row)) };
                first = found.map(|found| (at, found)).or(first.take());
                // SAFETY: as above.
                unsafe { unpacked.reset() };
            }
            None
        })?;
        match failed {
            Some(failure) => Err(failure),
            None => Ok(first.map(|(_, found)| found)),
        }
    }
}

/// The least and the greatest of many keys that lie close together: then one scan over all between them
/// takes less than a search for each.
fn dense(keys: &[i64]) -> Option<(i64, i64)> {
    let (low, high) = (*keys.iter().min()?, *keys.iter().max()?);
    let between = usize::try_from(high.checked_sub(low)?).ok()?;
    (keys.len() > 16 && between < keys.len().saturating_mul(4)).then_some((low, high))
}
