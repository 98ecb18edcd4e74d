//! The client and the session: notices, NOTIFY, what pg_stat_activity shows, waiting,
//! and whether anybody is still there.

use std::ffi::CString;
use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::{IntoDatum, direct_function_call, pg_sys};

use super::cancel;
use crate::error::{Code, Failure, Result};

mod raw {
    unsafe extern "C-unwind" {
        pub fn pq_check_connection() -> bool;
    }
}

/// A NOTICE.
pub fn notice(message: impl Into<String>) {
    report(pgrx::PgLogLevel::NOTICE, message.into(), None, None);
}

/// A NOTICE with facts, one a line.
pub fn notice_with_detail(message: impl Into<String>, detail: Option<&str>) {
    let detail = detail.map(str::to_owned);
    report(pgrx::PgLogLevel::NOTICE, message.into(), detail, None);
}

/// A NOTICE with a hint.
pub fn notice_with_hint(message: impl Into<String>, hint: impl Into<String>) {
    report(
        pgrx::PgLogLevel::NOTICE,
        message.into(),
        None,
        Some(hint.into()),
    );
}

/// A WARNING with a hint.
pub fn warning(message: impl Into<String>, hint: impl Into<String>) {
    report(
        pgrx::PgLogLevel::WARNING,
        message.into(),
        None,
        Some(hint.into()),
    );
}

/// A WARNING with facts, one a line, and a hint.
pub fn warning_with_detail(message: impl Into<String>, detail: &str, hint: impl Into<String>) {
    report(
        pgrx::PgLogLevel::WARNING,
        message.into(),
        Some(detail.to_owned()),
        Some(hint.into()),
    );
}

fn report(level: pgrx::PgLogLevel, message: String, detail: Option<String>, hint: Option<String>) {
    let code = match level {
        pgrx::PgLogLevel::WARNING => pgrx::PgSqlErrorCode::ERRCODE_WARNING,
        _ => pgrx::PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
    };
    let mut report = pg_sys::panic::ErrorReport::new(code, message, "pg_belay");
    if let Some(detail) = detail {
        report = report.set_detail(detail);
    }
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    report.report(level);
}

/// NOTIFY, delivered when the transaction commits.
pub fn notify(channel: &str, payload: &str) {
    // SAFETY: the built-in pg_notify(text, text), which returns void.
    unsafe {
        direct_function_call::<()>(
            pg_sys::pg_notify,
            &[channel.into_datum(), payload.into_datum()],
        );
    }
}

/// What pg_stat_activity shows as this session's query.
pub fn show_activity(activity: &str) {
    if let Ok(text) = CString::new(activity) {
        // SAFETY: the text is copied into shared memory.
        unsafe {
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr());
        }
    }
}

/// pg_stat_activity shows this session as idle.
pub fn show_idle() {
    // SAFETY: no text is given.
    unsafe {
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}

/// A line for the server's log.
pub fn log(message: &str) {
    report(
        pgrx::PgLogLevel::LOG,
        format!("pg_belay: {message}"),
        None,
        None,
    );
}

/// A boundary between two steps: cancels are served, and a run whose client has gone stops.
pub fn boundary() -> Result<()> {
    // SAFETY: probes the client's socket without reading; a backend without a client
    // (a background worker) has no port. The guard is for the interrupts it serves.
    let here = cancel::allow(|| unsafe {
        pg_sys::MyProcPort.is_null()
            || pg_sys::ffi::pg_guard_ffi_boundary(|| raw::pq_check_connection())
    });
    match here {
        true => Ok(()),
        false => Err(Failure::new(
            Code::ClientGone,
            "the client has gone, the run stops here",
            "what was applied stays; CALL belay.migrate_up() goes on",
        )),
    }
}

/// Cancel and termination requests are served here.
pub fn check_interrupts() {
    pgrx::check_for_interrupts!();
}

/// Sleeps, unless a cancel, a signal or the postmaster's death wakes the session.
pub fn sleep(duration: Duration) {
    // SAFETY: MyLatch is this backend's own.
    cancel::allow(|| unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
            duration.as_millis() as i64,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pgrx::check_for_interrupts!();
    });
}

/// This backend's process id.
pub fn pid() -> i32 {
    // SAFETY: reads a backend variable.
    unsafe { pg_sys::MyProcPid }
}

/// When this backend began; with the pid it names the session for good.
pub fn backend_start() -> TimestampWithTimeZone {
    // SAFETY: a timestamptz in the server's own representation.
    unsafe { timestamp(pg_sys::MyStartTimestamp) }
}

/// clock_timestamp().
pub fn now() -> TimestampWithTimeZone {
    // SAFETY: reads the clock.
    timestamp(unsafe { pg_sys::GetCurrentTimestamp() })
}

fn timestamp(value: pg_sys::TimestampTz) -> TimestampWithTimeZone {
    TimestampWithTimeZone::try_from(value)
        .unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}
