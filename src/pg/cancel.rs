//! When a cancel (Ctrl-C, pg_cancel_backend, a timeout) is served: inside a migration's
//! statements and at the boundaries between them, never while Belay writes down what happened.
//! Termination is served everywhere.
//!
//! The server's own counter does it (HOLD_CANCEL_INTERRUPTS, miscadmin.h). Raising an error sets
//! it to zero, so whoever catches one puts it back: see [`level`].

use pgrx::pg_sys;

/// Runs `body`; a cancel that arrives waits for the next [`allow`].
pub fn hold<T>(body: impl FnOnce() -> T) -> T {
    let before = level();
    restore(before + 1);
    let result = body();
    restore(before);
    result
}

/// Runs `body`, in which a cancel is served; one that has waited as well.
pub fn allow<T>(body: impl FnOnce() -> T) -> T {
    let before = level();
    restore(0);
    pgrx::check_for_interrupts!();
    let result = body();
    restore(before);
    result
}

/// How often cancels are held just now; for those who catch errors.
pub fn level() -> u32 {
    // SAFETY: a backend variable.
    unsafe { pg_sys::QueryCancelHoldoffCount }
}

/// Holds cancels as often as `level` says.
pub fn restore(level: u32) {
    // SAFETY: a backend variable; the value was read from it.
    unsafe { pg_sys::QueryCancelHoldoffCount = level };
}

/// Forgets a cancel that has arrived and was not served: what it was meant for has ended.
pub fn forget() {
    // SAFETY: a backend variable that the signal's handler sets, and that is read where a cancel is served.
    unsafe { pg_sys::QueryCancelPending = 0 };
}

/// Sends a cancel to another session, as pg_cancel_backend does; whether the session was there. Who may is for the caller
/// to know.
pub fn send(pid: i32) -> bool {
    unsafe extern "C" {
        fn kill(pid: i32, signal: i32) -> i32;
    }
    // SAFETY: the pid is one of a session of this server just now; signals are sent to no other process.
    unsafe { !pg_sys::BackendPidGetProc(pid).is_null() && kill(pid, pg_sys::SIGINT as i32) == 0 }
}
