//! What depends on what, from pg_depend and by its indexes. No lock is left behind.

use pgrx::pg_sys::{self, Oid};

use super::class;
use super::object::Object;

/// One row, seen from one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// The object at the other side.
    pub object: Object,
    /// How strongly.
    pub kind: Kind,
}

/// How strongly one depends on the other (`pg_depend.deptype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The depender can be dropped by itself: `n`.
    Normal,
    /// The depender is a part of the other: `a`, `i`, `P`, `S`.
    Part,
    /// Member of an extension: `e`, `x`.
    Extension,
}

/// pg_depend's columns; the layout of `FormData_pg_depend` (catalog/pg_depend.h).
#[repr(C)]
struct Form {
    class: Oid,
    object: Oid,
    column: i32,
    referenced_class: Oid,
    referenced_object: Oid,
    referenced_column: i32,
    kind: u8,
}

/// `DependDependerIndexId` and `DependReferenceIndexId` (catalog/pg_depend.h).
const BY_DEPENDER: u32 = 2673;
const BY_REFERENCED: u32 = 2674;

// The bindings of pgrx guard each call by itself, which costs more than the calls; here one guard is
// around all of a scan's.
mod raw {
    use pgrx::pg_sys::{HeapTuple, LOCKMODE, Oid, Relation, ScanKey, Snapshot, SysScanDesc};
    unsafe extern "C-unwind" {
        pub fn table_open(relation: Oid, mode: LOCKMODE) -> Relation;
        pub fn table_close(relation: Relation, mode: LOCKMODE);
        pub fn ScanKeyInit(
            key: ScanKey,
            column: i16,
            strategy: u16,
            procedure: Oid,
            argument: pgrx::pg_sys::Datum,
        );
        pub fn systable_beginscan(
            relation: Relation,
            index: Oid,
            index_is_sound: bool,
            snapshot: Snapshot,
            keys: i32,
            key: ScanKey,
        ) -> SysScanDesc;
        pub fn systable_getnext(scan: SysScanDesc) -> HeapTuple;
        pub fn systable_endscan(scan: SysScanDesc);
    }
}

/// What an object depends on.
pub fn depends_on(object: Object) -> Vec<Dependency> {
    scan(object, BY_DEPENDER, 1, |form| Object {
        class: form.referenced_class,
        id: form.referenced_object,
    })
}

/// What depends on an object.
pub fn dependents(object: Object) -> Vec<Dependency> {
    scan(object, BY_REFERENCED, 4, |form| Object {
        class: form.class,
        id: form.object,
    })
}

fn scan(
    object: Object,
    index: u32,
    first_column: i16,
    other: impl Fn(&Form) -> Object,
) -> Vec<Dependency> {
    let mut found = Vec::new();
    // SAFETY: a catalog scan as the server's own (dependency.c); each tuple is of pg_depend's shape
    // and is used before the next is fetched. What is inside the guard has nothing to drop.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            let share = pg_sys::AccessShareLock as i32;
            let catalog = raw::table_open(class::DEPEND, share);
            let mut keys: [pg_sys::ScanKeyData; 2] = std::mem::zeroed();
            for (at, value) in [object.class, object.id].into_iter().enumerate() {
                raw::ScanKeyInit(
                    &mut keys[at],
                    first_column + at as i16,
                    pg_sys::BTEqualStrategyNumber as u16,
                    Oid::from_u32(pg_sys::F_OIDEQ),
                    value.into(),
                );
            }
            let (index, snapshot) = (Oid::from_u32(index), std::ptr::null_mut());
            let scan =
                raw::systable_beginscan(catalog, index, true, snapshot, 2, keys.as_mut_ptr());
            loop {
                let tuple = raw::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                let header = (*tuple).t_data;
                let form = &*header.byte_add((*header).t_hoff as usize).cast::<Form>();
                let kind = match form.kind {
                    b'n' => Kind::Normal,
                    b'e' | b'x' => Kind::Extension,
                    _ => Kind::Part,
                };
                let object = other(form);
                found.push(Dependency { object, kind });
            }
            raw::systable_endscan(scan);
            raw::table_close(catalog, share);
        });
    }
    found
}
