//! Who runs: roles of the session, and the one switch to the owner of the ledger.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::Result;

/// The name of a role, or its number when it has been dropped.
pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: with noerr the function returns NULL for an unknown role; else a palloc'd string.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return role.to_u32().to_string();
        }
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// current_user.
pub fn current_role() -> pg_sys::Oid {
    // SAFETY: reads a backend variable.
    unsafe { pg_sys::GetUserId() }
}

/// session_user.
pub fn session_role() -> pg_sys::Oid {
    // SAFETY: reads a backend variable.
    unsafe { pg_sys::GetSessionUserId() }
}

/// Whether `member` has the rights of `role` (`pg_has_role(member, role, 'USAGE')`).
pub fn has_rights_of(member: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: looks the membership up in the catalog; a transaction is open.
    unsafe { pg_sys::has_privs_of_role(member, role) }
}

/// Whether that role is a superuser.
pub fn is_superuser_role(role: pg_sys::Oid) -> bool {
    // SAFETY: a catalog lookup; false for a role that does not exist.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Whether current_user is a superuser.
pub fn is_superuser() -> bool {
    // SAFETY: looks the role up in the catalog; a transaction is open.
    unsafe { pg_sys::superuser() }
}

/// Whether current_user may read files of the server's machine.
pub fn may_read_server_files() -> bool {
    is_superuser()
        || has_rights_of(
            current_role(),
            pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES),
        )
}

/// The role of that name.
pub fn role_by_name(name: &str) -> Option<pg_sys::Oid> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a catalog lookup by a NUL-terminated name; missing is not an error.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    (role != pg_sys::InvalidOid).then_some(role)
}

/// Who the session is, all of it: compared and put back on every way out of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    user: pg_sys::Oid,
    context: i32,
}

/// Reads the identity in force.
pub fn identity() -> Identity {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: writes to two locals.
    unsafe { pg_sys::GetUserIdAndSecContext(&mut user, &mut context) };
    Identity { user, context }
}

/// Puts back what [`identity`] read, after an abort.
pub fn put_back(before: Identity) {
    if identity() != before {
        // SAFETY: an identity that was in force in this session.
        unsafe { pg_sys::SetUserIdAndSecContext(before.user, before.context) };
    }
}

/// Runs `body`, which cannot undo the SET ROLE that is in force.
pub fn confined<T>(body: impl FnOnce() -> T) -> T {
    let before = identity();
    // SAFETY: the same user, with the flag under which the server refuses to set role and
    // session_authorization; after an error `transaction::attempt` puts it back.
    unsafe {
        pg_sys::SetUserIdAndSecContext(
            before.user,
            before.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32,
        );
    }
    let result = body();
    put_back(before);
    result
}

/// Runs `body` as that role, restricted as REINDEX restricts the functions of an index: no other role can be taken on
/// and nothing outlives it. For one question that is undone.
pub fn restricted_to<T>(role: pg_sys::Oid, body: impl FnOnce() -> T) -> T {
    let before = identity();
    let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    // SAFETY: put back below; an error that jumps past is undone by the abort of the subtransaction around it.
    unsafe { pg_sys::SetUserIdAndSecContext(role, before.context | flags as i32) };
    let result = body();
    put_back(before);
    result
}

thread_local! {
    /// Who acts while the ledger's owner is in force.
    static ACTING: std::cell::Cell<Option<pg_sys::Oid>> = const { std::cell::Cell::new(None) };
}

/// Whether the ledger's owner is in force just now; no commit may happen then.
pub fn is_switched() -> bool {
    ACTING.get().is_some()
}

/// current_user, or whoever it was before the ledger's owner was put in force.
pub fn acting_role() -> pg_sys::Oid {
    ACTING.get().unwrap_or_else(current_role)
}

/// Runs one bound statement of the ledger's as its owner, with a fixed search_path.
///
/// `body` must run no code of a user's. One commit inside would leave the session with the
/// owner's rights for good; `transaction::commit` refuses it.
pub fn as_owner<T>(owner: pg_sys::Oid, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = identity();
    let level = super::settings::open_level();
    // SAFETY: put back below; an error that jumps past is undone by the abort of the
    // (sub)transaction, which restores both the user and the settings.
    unsafe {
        pg_sys::SetUserIdAndSecContext(
            owner,
            before.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32,
        );
    }
    let outer = ACTING.get();
    ACTING.set(outer.or(Some(before.user)));
    let reset = Reset(outer);
    super::settings::set_for_level(c"search_path", c"pg_catalog, pg_temp");
    // Kept plans outlive the table sizes they were made for; each has an index to follow.
    super::settings::set_for_level(c"enable_seqscan", c"off");
    super::settings::set_for_level(c"enable_bitmapscan", c"off");
    super::settings::set_for_level(c"enable_sort", c"off");
    super::settings::set_for_level(c"plan_cache_mode", c"force_generic_plan");
    // Until 17 a plan with a disabled node costs enough for the compiler.
    super::settings::set_for_level(c"jit", c"off");
    let result = body();
    super::settings::close_level(level);
    // SAFETY: the identity read above.
    unsafe { pg_sys::SetUserIdAndSecContext(before.user, before.context) };
    drop(reset);
    result
}

/// Also when an error takes us out.
struct Reset(Option<pg_sys::Oid>);

impl Drop for Reset {
    fn drop(&mut self) {
        ACTING.set(self.0);
    }
}
