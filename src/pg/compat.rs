//! What differs between the supported major versions; the only `#[cfg]` of that kind.

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
