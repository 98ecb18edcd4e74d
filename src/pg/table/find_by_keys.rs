//! Many rows by their keys with one scan.

use std::ffi::CStr;

use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};

use super::{Compare, Key, Table, relation_oid, scan_key};
use crate::error::{Code, Failure, Result};
use crate::pg::row::{Field, Row};

impl Table {
    /// The first of the rows with these keys, the smallest key first, for which `pick` has an answer.
    /// A key without a row is passed over.
    pub fn find_by_keys<T>(
        &self,
        index: &CStr,
        column: &CStr,
        keys: Vec<i64>,
        mut pick: impl FnMut(&Row) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(first) = keys.first().copied() else {
            return Ok(None);
        };
        let index = relation_oid(self.schema, index)?;
        // What `pick` unpacks is let go row by row: there may be many.
        let mut unpacked = PgMemoryContexts::new("belay rows by key");
        // SAFETY: as `find`. The key is `column = ANY (array)`, which a btree answers in the order of
        // its own (skey.h: SK_SEARCHARRAY takes an array of the type that the operator compares).
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let equal = Key(column, Compare::Equal, Field::Big(first));
            let mut key = scan_key(descriptor, &equal)?;
            key.sk_flags |= pg_sys::SK_SEARCHARRAY as i32;
            key.sk_argument = keys.into_datum().ok_or_else(no_array)?;
            let index = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
            pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
            let scan = pg_sys::systable_beginscan_ordered(
                self.relation,
                index,
                pg_sys::GetActiveSnapshot(),
                1,
                &mut key,
            );
            let mut found = None;
            let mut row = Row::of_shape(descriptor);
            while found.is_none() {
                let forward = pg_sys::ScanDirection::ForwardScanDirection;
                let tuple = pg_sys::systable_getnext_ordered(scan, forward);
                if tuple.is_null() {
                    break;
                }
                row.take(tuple);
                found = unpacked.switch_to(|_| pick(&row));
                unpacked.reset();
            }
            pg_sys::systable_endscan_ordered(scan);
            pg_sys::PopActiveSnapshot();
            pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
            Ok(found)
        }
    }
}

fn no_array() -> Failure {
    Failure::new(
        Code::Internal,
        "keys could not be made an array",
        "report this",
    )
}
