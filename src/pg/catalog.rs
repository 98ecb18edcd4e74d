//! Rows of system catalogs, as the server itself looks them up: no lock is left behind. A query would
//! keep one until the transaction ends, and then who else reads catalogs in it could not be told.

use pgrx::pg_sys::{self, Oid};

use super::row::Row;
use super::table::{Key, scan_key};
use crate::error::Result;

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

/// The rows that `index` finds, in its order, as long as `each` does not fail. Seen is what is committed by now, and
/// what the transaction did.
pub fn each(
    catalog: Oid,
    index: Oid,
    keys: &[Key<'_>],
    mut each: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    // SAFETY: as above; a tuple is used before the next is fetched. An error that takes us out of here ends the
    // (sub)transaction, and the scan with it.
    unsafe {
        let share = pg_sys::AccessShareLock as i32;
        let catalog = pg_sys::table_open(catalog, share);
        let keys: Result<Vec<pg_sys::ScanKeyData>> = keys
            .iter()
            .map(|key| scan_key((*catalog).rd_att, key))
            .collect();
        let result = keys.and_then(|mut keys| {
            let (snapshot, number) = (std::ptr::null_mut(), keys.len() as i32);
            let first = keys.as_mut_ptr();
            let scan = pg_sys::systable_beginscan(catalog, index, true, snapshot, number, first);
            let mut row = Row::of_shape((*catalog).rd_att);
            let mut result = Ok(());
            while result.is_ok() {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                row.take(tuple);
                pgrx::check_for_interrupts!();
                result = each(&row);
            }
            pg_sys::systable_endscan(scan);
            result
        });
        pg_sys::table_close(catalog, share);
        result
    }
}

/// `pg_class.relkind`; NUL for a relation that is not there.
pub fn relation_kind(relation: Oid) -> char {
    // SAFETY: a look-up by OID.
    let kind = unsafe { pg_sys::get_rel_relkind(relation) };
    char::from(kind.cast_unsigned())
}

/// The array type of a type.
pub fn array_of(element: Oid) -> Option<Oid> {
    // SAFETY: a look-up by OID; 0 for none.
    let array = unsafe { pg_sys::get_array_type(element) };
    (array != Oid::INVALID).then_some(array)
}
