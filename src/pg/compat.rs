//! What differs between the supported major versions; the only `#[cfg]` of that kind.

use std::ffi::c_void;

use pgrx::pg_sys;

/// PortalRun lost its argument `run_once` in 18.
///
/// # Safety
/// As PortalRun: `portal` is started, both receivers live.
pub unsafe fn portal_run(
    portal: pg_sys::Portal,
    top_level: bool,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) -> bool {
    let all = i64::MAX;
    // SAFETY: the caller's.
    unsafe {
        #[cfg(feature = "pg18")]
        return pg_sys::PortalRun(portal, all, top_level, receiver, receiver, completion);
        #[cfg(not(feature = "pg18"))]
        return pg_sys::PortalRun(portal, all, top_level, true, receiver, receiver, completion);
    }
}

/// The names of all settings, with the custom ones that pg_settings leaves out.
/// get_guc_variables gained its argument in 16.
pub fn setting_names() -> Vec<String> {
    use std::ffi::{CStr, c_char};
    unsafe extern "C-unwind" {
        #[cfg(not(feature = "pg15"))]
        fn get_guc_variables(count: *mut i32) -> *mut *mut *const c_char;
        #[cfg(feature = "pg15")]
        fn get_guc_variables() -> *mut *mut *const c_char;
        #[cfg(feature = "pg15")]
        fn GetNumConfigOptions() -> i32;
    }
    // SAFETY: an array of pointers to config_generic, whose first member is the name; the
    // names belong to the server and are copied at once.
    unsafe {
        #[cfg(not(feature = "pg15"))]
        let (variables, count) = {
            let mut count = 0;
            (get_guc_variables(&mut count), count)
        };
        #[cfg(feature = "pg15")]
        let (variables, count) = (get_guc_variables(), GetNumConfigOptions());
        (0..usize::try_from(count).unwrap_or(0))
            .map(|i| {
                CStr::from_ptr(**variables.add(i))
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }
}

/// LockHeldByMe gained `orstronger` in 17.
///
/// # Safety
/// `tag` is a valid lock tag.
pub unsafe fn lock_held_by_me(tag: &pg_sys::LOCKTAG, mode: i32) -> bool {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return pg_sys::LockHeldByMe(tag, mode, false);
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        return pg_sys::LockHeldByMe(tag, mode);
    }
}

/// Sets transaction_timeout's variable and disarms a running one (17+); the value before.
pub fn replace_transaction_timeout(milliseconds: i32) -> i32 {
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    {
        /// `TRANSACTION_TIMEOUT` of utils/timeout.h.
        const TRANSACTION_TIMEOUT: i32 = 8;
        unsafe extern "C-unwind" {
            fn disable_timeout(id: i32, keep_indicator: bool);
            fn get_timeout_active(id: i32) -> bool;
        }
        // SAFETY: a backend variable that StartTransaction reads; the timeout is registered
        // in every backend.
        unsafe {
            if milliseconds == 0 && get_timeout_active(TRANSACTION_TIMEOUT) {
                disable_timeout(TRANSACTION_TIMEOUT, false);
            }
            let before = pg_sys::TransactionTimeout;
            pg_sys::TransactionTimeout = milliseconds;
            before
        }
    }
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    {
        milliseconds
    }
}

/// What lets a role take on another, as pg_has_role names it; until 16 each member could.
pub const SET_ROLE_PRIVILEGE: &str = match cfg!(feature = "pg15") {
    true => "MEMBER",
    false => "SET",
};

/// Whether stored views hold two relations, `old` and `new`, that they do not use; 16 did away with them.
pub const VIEWS_HOLD_OLD_AND_NEW: bool = cfg!(feature = "pg15");

/// A function that the walkers of nodeFuncs.c call with each node.
pub type Walker = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool;

// Without the guard of the bindings, which would be entered at each node. Both were renamed in 16.
unsafe extern "C-unwind" {
    #[cfg_attr(feature = "pg15", link_name = "query_tree_walker")]
    fn query_tree_walker_impl(
        query: *mut pg_sys::Query,
        walker: Walker,
        context: *mut c_void,
        flags: i32,
    ) -> bool;
    #[cfg_attr(feature = "pg15", link_name = "expression_tree_walker")]
    fn expression_tree_walker_impl(
        node: *mut pg_sys::Node,
        walker: Walker,
        context: *mut c_void,
    ) -> bool;
}

/// Calls `walker` with each expression and each query below a query.
///
/// # Safety
/// An analysed query; an error of the server jumps over the caller's frame.
pub unsafe fn walk_query(query: *mut pg_sys::Query, walker: Walker, context: *mut c_void) -> bool {
    // SAFETY: the caller's.
    unsafe { query_tree_walker_impl(query, walker, context, 0) }
}

/// Calls `walker` with each node below an expression.
///
/// # Safety
/// A node of an analysed query; an error of the server jumps over the caller's frame.
pub unsafe fn walk_expression(
    node: *mut pg_sys::Node,
    walker: Walker,
    context: *mut c_void,
) -> bool {
    // SAFETY: the caller's.
    unsafe { expression_tree_walker_impl(node, walker, context) }
}

/// An attribute of a row's shape; since 18 they stand behind a shorter form of themselves.
///
/// # Safety
/// `at` is below the number of attributes.
pub unsafe fn attribute(
    descriptor: pg_sys::TupleDesc,
    at: usize,
) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: the caller's; TupleDescAttr (access/tupdesc.h).
    unsafe {
        #[cfg(feature = "pg18")]
        return (*descriptor)
            .compact_attrs
            .as_ptr()
            .add((*descriptor).natts as usize)
            .cast::<pg_sys::FormData_pg_attribute>()
            .add(at);
        #[cfg(not(feature = "pg18"))]
        return (*descriptor).attrs.as_ptr().add(at);
    }
}

/// Whether an UPDATE has a RETURNING; the list became a clause of its own in 18.
///
/// # Safety
/// A node of the raw grammar.
pub unsafe fn update_returns(update: *mut pg_sys::UpdateStmt) -> bool {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(feature = "pg18")]
        return !(*update).returningClause.is_null();
        #[cfg(not(feature = "pg18"))]
        return !(*update).returningList.is_null();
    }
}

/// Installs a handler of a signal; the backend's own function was renamed in 18.
///
/// # Safety
/// As the server's: the handler does what a signal handler may.
pub unsafe fn handle_signal(signal: i32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
    }
}
