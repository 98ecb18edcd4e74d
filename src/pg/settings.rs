//! Settings (GUCs): levels that undo what was set, and the session's values before and after.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

/// A nest level of settings; what is set above it is undone when it closes.
#[derive(Debug, Clone, Copy)]
pub struct Level(i32);

/// Opens a level.
pub fn open_level() -> Level {
    // SAFETY: increments a backend counter; the transaction's end resets it.
    Level(unsafe { pg_sys::NewGUCNestLevel() })
}

/// Undoes everything that was set since the level was opened, SET as well as SET LOCAL.
pub fn close_level(level: Level) {
    // SAFETY: `level` comes from open_level in this transaction.
    unsafe { pg_sys::AtEOXact_GUC(false, level.0) };
}

/// Sets a value until the innermost level closes.
pub fn set_for_level(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_SAVE);
}

/// Sets a value for the session, as SET does.
pub fn set_for_session(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_SET);
}

fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    // SAFETY: both strings end with NUL and are copied; elevel 0 means ERROR for session sources.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}

/// Sets a value by text for the innermost level; for values that come from the catalog.
pub fn set_text_for_level(name: &CStr, value: &str) {
    if let Ok(value) = CString::new(value) {
        set_for_level(name, &value);
    }
}

/// The value of a setting as SHOW prints it; empty when it does not exist.
pub fn get(name: &CStr) -> String {
    // SAFETY: missing_ok; the string belongs to the server and is copied at once.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if value.is_null() {
            return String::new();
        }
        CStr::from_ptr(value).to_string_lossy().into_owned()
    }
}
