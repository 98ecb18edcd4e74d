//! Rows of system catalogs, as the server itself looks them up: no lock is left behind. A query would
//! keep one until the transaction ends, and then who else reads catalogs in it could not be told.

use pgrx::pg_sys::{self, Oid};

use super::row::Row;

/// The row with that value of an indexed OID column, the `column`th of the catalog.
pub fn find<T>(
    catalog: Oid,
    index: Oid,
    column: i16,
    value: Oid,
    pick: impl FnOnce(&Row) -> T,
) -> Option<T> {
    // SAFETY: a catalog scan as the server's own (extension.c); the tuple is used before the scan ends.
    unsafe {
        let share = pg_sys::AccessShareLock as i32;
        let catalog = pg_sys::table_open(catalog, share);
        let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
        pg_sys::ScanKeyInit(
            &mut key,
            column,
            pg_sys::BTEqualStrategyNumber as u16,
            Oid::from(pg_sys::F_OIDEQ),
            value.into(),
        );
        let snapshot = std::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(catalog, index, true, snapshot, 1, &mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let found = (!tuple.is_null()).then(|| pick(&Row::deform(tuple, (*catalog).rd_att)));
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, share);
        found
    }
}
