//! Functions of the server's that look objects up without a lock or any other mark.

use std::cell::RefCell;
use std::collections::HashMap;

use belay_core::footprint::looks_into_catalog;
use pgrx::pg_sys::{self, Oid};

use crate::pg::object::owned;

thread_local! {
    /// What each function that was asked for does; they are the server's own and never change.
    static KNOWN: RefCell<HashMap<Oid, Option<String>>> = RefCell::default();
}

/// What a migration does that calls this function of the server's, where its result may depend on any
/// object; `None` where it does not.
pub fn what_it_does(function: Oid) -> Option<String> {
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&function).cloned()) {
        return known;
    }
    // SAFETY: a catalog look-up; NULL for what is missing.
    let name = unsafe { owned(pg_sys::get_func_name(function)) };
    let looks = name
        .filter(|name| looks_into_catalog(name))
        .map(|name| format!("calls {name}()"));
    KNOWN.with_borrow_mut(|known| known.insert(function, looks.clone()));
    looks
}
