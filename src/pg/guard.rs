//! The server's hook that sees objects being dropped or altered, through EXECUTE too.
//! It does nothing unless a run of this session is active, or a query is being analysed.

use pgrx::pg_guard;
use pgrx::pg_sys::{self, ObjectAccessType, Oid};

use super::object::Object;
use super::{analysis, extension, trace};
use crate::error::raise;

static mut NEXT: pg_sys::object_access_hook_type = None;

/// Installs the hook; called once, by `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs once in a backend, before any hook can be called.
    unsafe {
        NEXT = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(on_access);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_access(
    access: ObjectAccessType::Type,
    class: Oid,
    object: Oid,
    sub: i32,
    argument: *mut core::ffi::c_void,
) {
    // SAFETY: the hook that was there before, with the arguments the server gave.
    unsafe {
        if let Some(next) = NEXT {
            next(access, class, object, sub, argument);
        }
    }
    let changes = matches!(
        access,
        ObjectAccessType::OAT_DROP
            | ObjectAccessType::OAT_POST_ALTER
            | ObjectAccessType::OAT_POST_CREATE
            | ObjectAccessType::OAT_TRUNCATE
    );
    if changes && extension::is_guarded(Object { class, id: object }) {
        raise::<()>(Err(extension::members_are_protected()));
    }
    if access == ObjectAccessType::OAT_FUNCTION_EXECUTE {
        raise(analysis::refuse_call(object));
    }
    trace::on_access(access, class, object, sub);
}
