//! How the server prints a view that reads one relation.
//!
//! Until 15 the query of a stored view begins with two relations, `old` and `new`, that nothing in it uses. They make
//! ruleutils.c write `t.a` where later majors, which store the view without them, write `a`.

use std::ffi::{CStr, CString};

use pgrx::pg_sys::{self, Oid};

use super::list;

/// How many relations a stored view holds that are not its own.
const OLD_AND_NEW: i32 = 2;

/// The definition of a view as majors after 15 print it; `None` where that is what this one prints as well.
/// `action` is `pg_rewrite.ev_action` of the view's rule.
pub fn definition(action: &str, view: Oid) -> Option<String> {
    let action = CString::new(action).ok()?;
    // SAFETY: the text is a list of nodes that the server wrote and reads back into memory of ours, with one query
    // in the rule of a view.
    unsafe {
        let queries = pg_sys::stringToNode(action.as_ptr()).cast::<pg_sys::List>();
        let query = list::cells(queries).next()?.cast::<pg_sys::Query>();
        let relations = (*query).rtable;
        if list::cells(relations).count() != OLD_AND_NEW as usize + 1 {
            return None;
        }
        pg_sys::OffsetVarNodes(query.cast(), -OLD_AND_NEW, 0);
        (*query).rtable = pg_sys::list_copy_tail(relations, OLD_AND_NEW);
        name_columns(query, view);
        let text = pg_sys::pg_get_querydef(query, true);
        // As pg_get_viewdef ends it.
        Some(format!("{};", CStr::from_ptr(text).to_string_lossy()))
    }
}

/// ALTER VIEW ... RENAME COLUMN leaves the names in the query as they were.
///
/// # Safety
/// The query of that view.
unsafe fn name_columns(query: *mut pg_sys::Query, view: Oid) {
    // SAFETY: the caller's; columns that are shown are those of the view, in its order.
    unsafe {
        for target in list::cells((*query).targetList) {
            let target = target.cast::<pg_sys::TargetEntry>();
            if (*target).resjunk {
                continue;
            }
            let name = pg_sys::get_attname(view, (*target).resno, true);
            if !name.is_null() {
                (*target).resname = name;
            }
        }
    }
}
