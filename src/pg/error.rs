//! Server errors, whole: caught with every field and raised with every field.
//!
//! pgrx keeps message, detail, hint and the SQLSTATEs it knows; CONTEXT, position,
//! constraint names and other SQLSTATEs are lost on its way. Here an error context
//! callback copies the error before the server jumps, and [`throw`] raises it
//! unchanged. Not guaranteed: a fatal error ends the session and never comes here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::{self, panic::CaughtError};
use pgrx::{PgMemoryContexts, PgTryBuilder};

use super::{cancel, lock_wait, trace};
use crate::error::{Failure, ServerError};

/// `elevel` of an ordinary error (elog.h).
const ERROR: i32 = pgrx::PgLogLevel::ERROR as i32;
/// `elevel` of what the server logs for its operators.
const LOG: i32 = pgrx::PgLogLevel::LOG as i32;

// The bindings of pgrx wrap each call into a jump of their own; these must not be:
// one runs inside errfinish, the other is meant to jump.
mod raw {
    use pgrx::pg_sys::ErrorData;
    unsafe extern "C-unwind" {
        pub fn CopyErrorData() -> *mut ErrorData;
        pub fn ThrowErrorData(edata: *mut ErrorData);
    }
}

/// How many errors are remembered: one that is raised again after others were caught inside
/// its handler (a bare RAISE of PL/pgSQL) runs no callback of ours and is found among them.
const REMEMBERED: usize = 8;

thread_local! {
    /// The newest errors of this session, oldest first.
    static CAUGHT: RefCell<VecDeque<ServerError>> = const { RefCell::new(VecDeque::new()) };
    /// Where an error is copied to; reset after each copy: many caught errors must not pile up.
    static CONTEXT: Cell<pg_sys::MemoryContext> = const { Cell::new(std::ptr::null_mut()) };
}

/// Runs inside errfinish for every message of the guarded region.
unsafe extern "C-unwind" fn copy_error(_argument: *mut c_void) {
    // SAFETY: errfinish calls this with an error on its stack, which is what CopyErrorData
    // copies; the context lives as long as the session.
    unsafe {
        let context = CONTEXT.get();
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = context;
        let copy = raw::CopyErrorData();
        pg_sys::CurrentMemoryContext = before;
        match (*copy).elevel {
            LOG => lock_wait::note(),
            level if level >= ERROR => {
                let error = plain(&*copy);
                trace::on_error(&error.sqlstate());
                remember(error);
            }
            _ => {}
        }
        pg_sys::MemoryContextReset(context);
    }
}

fn remember(error: ServerError) {
    CAUGHT.with_borrow_mut(|caught| {
        if caught.len() == REMEMBERED {
            caught.pop_front();
        }
        caught.push_back(error);
    });
}

/// Runs `body`; an error of the server, or a panic, comes back as a value.
///
/// The transaction is as the error left it: the caller aborts it or lets the error go on.
pub fn catch<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    if CONTEXT.get().is_null() {
        // SAFETY: TopMemoryContext exists for the life of the session.
        CONTEXT.set(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                PgMemoryContexts::TopMemoryContext.value(),
                c"belay caught error".as_ptr(),
                0,
                1024,
                8 * 1024 * 1024,
            )
        });
    }
    // SAFETY: the callback is popped below on both ways out, before its frame ends; a jump
    // out of `body` is turned into a panic by pgrx's guards, which restore the stack.
    let mut frame = pg_sys::ErrorContextCallback {
        previous: unsafe { pg_sys::error_context_stack },
        callback: Some(copy_error),
        arg: std::ptr::null_mut(),
    };
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, frame.previous) };
    let held = cancel::level();
    unsafe { pg_sys::error_context_stack = &mut frame };
    CAUGHT.with_borrow_mut(VecDeque::clear);

    let result = PgTryBuilder::new(AssertUnwindSafe(|| Ok(body())))
        .catch_others(|cause| Err(Box::new(cause)))
        .catch_rust_panic(|cause| Err(Box::new(cause)))
        .execute();

    // SAFETY: as above; the memory context is the one of our caller.
    unsafe {
        pg_sys::error_context_stack = owner;
        if result.is_err() {
            pg_sys::CurrentMemoryContext = context;
            cancel::restore(held);
        }
    }
    match result {
        Ok(value) => value,
        Err(cause) => Err(Failure::Server(Box::new(whole(from_caught(&cause))))),
    }
}

/// The remembered error that pgrx's report is about; the report itself when there is none,
/// as for a panic of our own.
fn whole(report: ServerError) -> ServerError {
    CAUGHT.with_borrow_mut(|caught| {
        let found = caught.iter().rposition(|error| {
            error.message == report.message
                && error.detail == report.detail
                && error.hint == report.hint
        });
        let error = found.and_then(|index| caught.remove(index));
        caught.clear();
        error.unwrap_or(report)
    })
}

/// An error as plain values.
unsafe fn plain(e: &pg_sys::ErrorData) -> ServerError {
    // SAFETY: an ErrorData of the server, whose strings end with NUL or are NULL.
    unsafe {
        ServerError {
            sqlerrcode: e.sqlerrcode,
            message: text(e.message).unwrap_or_default(),
            detail: text(e.detail),
            detail_log: text(e.detail_log),
            hint: text(e.hint),
            context: text(e.context),
            schema: text(e.schema_name),
            table: text(e.table_name),
            column: text(e.column_name),
            datatype: text(e.datatype_name),
            constraint: text(e.constraint_name),
            cursor_position: e.cursorpos,
            internal_position: e.internalpos,
            internal_query: text(e.internalquery),
        }
    }
}

fn from_caught(cause: &CaughtError) -> ServerError {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic {
        ereport: report, ..
    }) = cause;
    ServerError {
        sqlerrcode: report.sql_error_code() as i32,
        message: report.message().to_owned(),
        detail: report.detail().map(str::to_owned),
        hint: report.hint().map(str::to_owned),
        ..ServerError::default()
    }
}

/// A C string of the server as text; the database's encoding is UTF-8 or close to it.
unsafe fn text(value: *const c_char) -> Option<String> {
    if value.is_null() {
        return None;
    }
    // SAFETY: ErrorData's strings end with NUL.
    Some(
        unsafe { CStr::from_ptr(value) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// Raises `error` with all its fields. Nothing of the caller's may be left to drop.
pub fn throw(error: ServerError) -> ! {
    // SAFETY: makeNode-like zeroed ErrorData whose strings live in the current context;
    // ThrowErrorData copies them before it jumps, and `error` was consumed above.
    unsafe {
        let data = build(error);
        raw::ThrowErrorData(data);
    }
    unreachable!("ThrowErrorData does not return for errors")
}

unsafe fn build(error: ServerError) -> *mut pg_sys::ErrorData {
    // SAFETY: palloc0 gives a zeroed ErrorData; strings are copied into palloc'd memory.
    unsafe {
        let data = pg_sys::palloc0(size_of::<pg_sys::ErrorData>()) as *mut pg_sys::ErrorData;
        (*data).elevel = ERROR;
        (*data).sqlerrcode = error.sqlerrcode;
        (*data).message = duplicate(Some(&error.message));
        (*data).detail = duplicate(error.detail.as_deref());
        (*data).detail_log = duplicate(error.detail_log.as_deref());
        (*data).hint = duplicate(error.hint.as_deref());
        (*data).context = duplicate(error.context.as_deref());
        (*data).schema_name = duplicate(error.schema.as_deref());
        (*data).table_name = duplicate(error.table.as_deref());
        (*data).column_name = duplicate(error.column.as_deref());
        (*data).datatype_name = duplicate(error.datatype.as_deref());
        (*data).constraint_name = duplicate(error.constraint.as_deref());
        (*data).cursorpos = error.cursor_position;
        (*data).internalpos = error.internal_position;
        (*data).internalquery = duplicate(error.internal_query.as_deref());
        (*data).filename = c"pg_belay".as_ptr();
        (*data).funcname = c"pg_belay".as_ptr();
        (*data).assoc_context = pg_sys::CurrentMemoryContext;
        data
    }
}

unsafe fn duplicate(value: Option<&str>) -> *mut c_char {
    let Some(value) = value else {
        return std::ptr::null_mut();
    };
    let value = CString::new(value.replace('\0', "\u{fffd}")).unwrap_or_default();
    // SAFETY: `value` ends with NUL and outlives the call.
    unsafe { pg_sys::pstrdup(value.as_ptr()) }
}
