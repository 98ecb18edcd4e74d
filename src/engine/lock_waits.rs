//! Waits for locks that do not last: their limit, and what an error says of one that was not to be had in time.

use crate::error::Failure;
use crate::guc;
use crate::ledger::Ledger;
use crate::pg::lock_wait::{self, Watch};
use crate::pg::settings;
use crate::pg::transaction::{self, Mode};

/// Sets lock_timeout for the innermost level: the directive's, or belay.lock_timeout.
pub fn limit_lock_waits(directive: Option<i32>) -> Watch {
    let lock_timeout = directive.unwrap_or_else(guc::lock_timeout);
    settings::set_text_for_level(c"lock_timeout", &lock_timeout.to_string());
    Watch::begin(lock_timeout)
}

/// 55P03 of the server: what can be done about it.
pub fn explain(failure: &mut Failure) {
    if failure.sqlstate() == "55P03" && matches!(failure, Failure::Server(_)) {
        failure.add_hint(
            "another session holds a lock that this needs: SELECT pg_terminate_backend(pid) ends it; run again, \
             or with a longer belay.lock_timeout or directive lock-timeout, or with more belay.lock_retries",
        );
    }
}

/// Adds, to the error of a lock that was not to be had, what was waited for and who holds it. The
/// caller's transaction, which has failed, cannot be asked.
pub fn name_holders(ledger: &Ledger, mode: Mode, failure: &mut Failure) {
    if failure.sqlstate() != "55P03" {
        return;
    }
    let (Some(awaited), true) = (lock_wait::take(), mode != Mode::Caller) else {
        return;
    };
    // The error matters more than what could not be found out about it.
    let found = transaction::attempt(mode, || ledger.describe_wait(&awaited));
    if let Ok(Some(holders)) = found {
        failure.add_detail(&holders);
    }
}
