//! `CALL belay.VERB(...)`: Belay's own procedures that commit on their way, as a migration calls them.

use std::ffi::CStr;

use belay_core::sql::tokens;
use pgrx::pg_sys::{self, NodeTag};

use super::{Alone, Kind, Script, Statement};
use crate::pg::list::cells;

/// A verb, and what takes it back when the migration that calls it is reverted.
struct Verb {
    name: &'static str,
    undo: Option<&'static str>,
    /// Whether code of the release before is untouched by it.
    harmless: bool,
}

const fn verb(name: &'static str, undo: Option<&'static str>, harmless: bool) -> Verb {
    Verb {
        name,
        undo,
        harmless,
    }
}

/// Each does the same no harm when it is called again.
const VERBS: [Verb; 12] = [
    verb("add_concurrent_index", None, false),
    verb(
        "change_column_type_concurrently",
        Some("undo_change_column_type_concurrently"),
        true,
    ),
    verb(
        "cleanup_concurrent_column_rename",
        Some("undo_cleanup_concurrent_column_rename"),
        false,
    ),
    verb(
        "cleanup_concurrent_column_type_change",
        Some("undo_cleanup_concurrent_column_type_change"),
        false,
    ),
    verb("remove_concurrent_index", None, false),
    verb(
        "rename_column_concurrently",
        Some("undo_rename_column_concurrently"),
        true,
    ),
    verb("undo_change_column_type_concurrently", None, false),
    verb("undo_cleanup_concurrent_column_rename", None, true),
    verb("undo_cleanup_concurrent_column_type_change", None, false),
    verb("undo_rename_column_concurrently", None, false),
    verb("update_in_batches", None, true),
    verb("with_lock_retries", None, false),
];

/// The verb that a statement calls, and the byte at which its name begins.
///
/// # Safety
/// A statement node of the raw grammar.
unsafe fn called(node: *mut pg_sys::Node) -> Option<(&'static Verb, usize)> {
    // SAFETY: the cast follows the node's tag; the names of a function are String nodes.
    unsafe {
        if (*node).type_ != NodeTag::T_CallStmt {
            return None;
        }
        let call = (*(node as *mut pg_sys::CallStmt)).funccall;
        let names: Vec<&CStr> = cells((*call).funcname)
            .map(|name| CStr::from_ptr((*(name as *mut pg_sys::String)).sval))
            .collect();
        let [schema, name] = names.as_slice() else {
            return None;
        };
        let found = VERBS
            .iter()
            .find(|verb| *schema == c"belay" && name.to_bytes() == verb.name.as_bytes())?;
        Some((found, usize::try_from((*call).location).ok()?))
    }
}

/// What such a call is: it cannot run in a transaction block, and the same again does no harm. The schema has to be
/// written: no catalog is looked at.
///
/// # Safety
/// A statement node of the raw grammar.
pub(super) unsafe fn kind_of(node: *mut pg_sys::Node) -> Option<Kind> {
    // SAFETY: the caller's.
    unsafe { called(node) }.map(|_| Kind::Alone(Alone::Repeatable))
}

/// Whether code of the release before is untouched by the verb that a statement calls.
pub(super) fn is_harmless(statement: &Statement) -> bool {
    // SAFETY: the raw tree belongs to the statement and lives as long as its script.
    unsafe { called((*statement.raw).stmt) }.is_some_and(|(verb, _)| verb.harmless)
}

impl Script {
    /// The statements that take a migration back which does nothing but call verbs that have an undo: the last first.
    pub fn undo(&self) -> Option<String> {
        let calls: Option<Vec<String>> = self
            .statements
            .iter()
            .rev()
            .map(|call| self.undo_of(call))
            .collect();
        calls
            .filter(|calls| !calls.is_empty())
            .map(|calls| calls.join(";\n"))
    }

    /// The call with the name of the verb's undo; its arguments are the same.
    fn undo_of(&self, statement: &Statement) -> Option<String> {
        // SAFETY: as above.
        let (verb, at) = unsafe { called((*statement.raw).stmt) }?;
        let undo = verb.undo?;
        let text = self.text.to_str().ok()?;
        // belay . verb
        let name = tokens(text.get(at..statement.end)?).nth(2)?.ok()?;
        let before = text.get(statement.start..at + name.start)?;
        let after = text.get(at + name.end..statement.end)?;
        Some(format!("{before}{undo}{}", after.trim_end()))
    }
}
