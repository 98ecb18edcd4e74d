//! Timeouts of the session: the caller's must not end a run halfway, Belay's own may.

use pgrx::pg_sys;

use super::{compat, error};
use crate::error::Result;

/// `STATEMENT_TIMEOUT` of utils/timeout.h.
const STATEMENT_TIMEOUT: i32 = 3;

mod raw {
    unsafe extern "C-unwind" {
        pub fn disable_timeout(id: i32, keep_indicator: bool);
        pub fn enable_timeout_after(id: i32, delay_ms: i32);
        pub fn get_timeout_active(id: i32) -> bool;
    }
}

/// Ends the caller's statement_timeout for the rest of this CALL; the client's next
/// statement is given a new one by the server.
pub fn disarm_statement_timeout() {
    // SAFETY: the timeout is registered in every backend; disarming an idle one is allowed.
    unsafe {
        if raw::get_timeout_active(STATEMENT_TIMEOUT) {
            raw::disable_timeout(STATEMENT_TIMEOUT, false);
        }
    }
}

/// Gives the statement that follows `milliseconds`; 0 is no limit.
pub fn arm_statement_timeout(milliseconds: i32) {
    disarm_statement_timeout();
    if milliseconds > 0 {
        // SAFETY: as above.
        unsafe { raw::enable_timeout_after(STATEMENT_TIMEOUT, milliseconds) };
    }
}

/// Runs `body` under a limit in milliseconds; 0 is none. It ends with it, also when that fails.
pub fn limited<T>(milliseconds: i32, body: impl FnOnce() -> Result<T>) -> Result<T> {
    arm_statement_timeout(milliseconds);
    let result = error::catch(body);
    disarm_statement_timeout();
    result
}

/// Gives the statement the session's statement_timeout where the server has left it to a shorter
/// transaction_timeout, which has been switched off.
pub fn keep_statement_timeout() {
    // SAFETY: as above.
    if unsafe { !raw::get_timeout_active(STATEMENT_TIMEOUT) } {
        arm_statement_timeout(session_statement_timeout());
    }
}

/// The session's own statement_timeout in milliseconds.
pub fn session_statement_timeout() -> i32 {
    // SAFETY: reads a backend variable.
    unsafe { pg_sys::StatementTimeout }
}

/// transaction_timeout (17+) ends the session: it is off while this value lives.
pub struct WithoutTransactionTimeout(i32);

impl WithoutTransactionTimeout {
    /// Switches it off.
    pub fn new() -> Self {
        WithoutTransactionTimeout(compat::replace_transaction_timeout(0))
    }
}

impl Drop for WithoutTransactionTimeout {
    fn drop(&mut self) {
        compat::replace_transaction_timeout(self.0);
    }
}
