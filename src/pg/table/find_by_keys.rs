//! Many rows by their keys, one after the other, with one scan.

use std::ffi::CStr;

use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};

use super::{Compare, Key, Table, relation_oid, scan_key};
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
}
