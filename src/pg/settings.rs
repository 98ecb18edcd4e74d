//! Settings (GUCs): levels that undo what was set, and the session's values before and after.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::{compat, spi};
use crate::error::Result;

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

/// Sets a value by text for the session.
pub fn set_text_for_session(name: &CStr, value: &str) {
    if let Ok(value) = CString::new(value) {
        set_for_session(name, &value);
    }
}

/// The session's settings before a migration that commits on its way, where no nest level
/// can undo what it sets.
pub struct SessionSettings {
    /// Name, value, and whether the session had set it.
    before: Vec<(String, String, bool)>,
    /// Settings that pg_settings does not list (custom ones, role): name and value.
    unlisted: Vec<(String, Option<String>)>,
}

const LISTED: &str =
    "SELECT name, setting, source OPERATOR(pg_catalog.=) 'session' FROM pg_catalog.pg_settings
  WHERE context OPERATOR(pg_catalog.=) ANY ('{user,superuser}')
    AND name OPERATOR(pg_catalog.<>) ALL ('{transaction_read_only,transaction_isolation,transaction_deferrable}')";

impl SessionSettings {
    /// Reads them.
    pub fn save() -> Result<SessionSettings> {
        let before = Self::listed()?;
        let unlisted = Self::unlisted_names(&before)
            .into_iter()
            .map(|name| {
                let value = lookup(&name);
                (name, value)
            })
            .collect();
        Ok(SessionSettings { before, unlisted })
    }

    /// Who the session is, and the custom settings that pg_settings leaves out.
    fn unlisted_names(listed: &[(String, String, bool)]) -> Vec<String> {
        let custom = compat::setting_names()
            .into_iter()
            .filter(|name| name.contains('.') && !listed.iter().any(|(known, ..)| known == name));
        ["session_authorization", "role"]
            .map(str::to_owned)
            .into_iter()
            .chain(custom)
            .collect()
    }

    fn listed() -> Result<Vec<(String, String, bool)>> {
        spi::select(LISTED, &[], |row| {
            Ok((
                row.require(1)?,
                row.get::<String>(2)?.unwrap_or_default(),
                row.require(3)?,
            ))
        })
    }

    /// Puts back what differs. Who the session is comes first: it may decide what may be set.
    pub fn restore(&self) -> Result<()> {
        for (name, value) in &self.unlisted {
            if lookup(name) != *value {
                set_named(name, value.as_deref());
            }
        }
        for name in Self::unlisted_names(&self.before) {
            let known = self.unlisted.iter().any(|(before, _)| *before == name);
            if !known && lookup(&name).is_some_and(|value| !value.is_empty()) {
                set_named(&name, None);
            }
        }
        for (name, now, is_set) in Self::listed()? {
            let Some((_, before, was_set)) = self.before.iter().find(|(n, ..)| *n == name) else {
                continue;
            };
            if *before != now || *was_set != is_set {
                set_named(&name, was_set.then_some(before.as_str()));
                if lookup(&name).is_none_or(|value| !value.eq_ignore_ascii_case(before)) {
                    set_named(&name, Some(before));
                }
            }
        }
        Ok(())
    }
}

fn lookup(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: missing_ok; the string belongs to the server and is copied at once.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// Sets a value for the session, or resets it.
fn set_named(name: &str, value: Option<&str>) {
    let (Ok(name), Ok(text)) = (CString::new(name), CString::new(value.unwrap_or_default())) else {
        return;
    };
    let context = match super::identity::is_superuser() {
        true => pg_sys::GucContext::PGC_SUSET,
        false => pg_sys::GucContext::PGC_USERSET,
    };
    // SAFETY: as in `set`; a NULL value means the default.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            if value.is_some() {
                text.as_ptr()
            } else {
                std::ptr::null()
            },
            context,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SET,
            true,
            0,
            false,
        );
    }
}
