//! The index that a statement would make, made on an empty copy of its table: the server itself says
//! what operator classes, collations and expressions come out.

use std::ffi::CString;

use pgrx::pg_sys;

use super::parse::{self, Kind, Script, Statement};
use super::{cancel, portal};
use crate::error::Result;

/// Where the twin stands.
pub const INDEX: &str = "pg_temp.belay_twin_index";

/// Makes the twin of what `statement`, a CREATE INDEX of `script`, would make on `table` (quoted).
/// The caller rolls the transaction back.
pub fn make(script: &Script, statement: &Statement, table: &str) -> Result<()> {
    let copy = format!("CREATE TEMPORARY TABLE pg_temp.belay_twin (LIKE {table})");
    let copying = parse::parse(&copy)?;
    let twin = Statement {
        kind: Kind::Ordinary,
        start: statement.start,
        end: statement.end,
        privileged: false,
        raw: renamed(statement.raw),
    };
    cancel::allow(|| {
        if let Some(statement) = copying.statements.first() {
            portal::run(&copying, statement, false)?;
        }
        portal::run(script, &twin, false)
    })
}

/// A copy of a CREATE INDEX that makes the twin in place of its index.
fn renamed(raw: *mut pg_sys::RawStmt) -> *mut pg_sys::RawStmt {
    // SAFETY: the caller's statement is a CREATE INDEX, so the node is an IndexStmt. The copy and the
    // names are palloc'd in the current context.
    unsafe {
        let copy = pg_sys::copyObjectImpl(raw.cast()) as *mut pg_sys::RawStmt;
        let index = (*copy).stmt as *mut pg_sys::IndexStmt;
        (*index).concurrent = false;
        (*index).if_not_exists = false;
        (*index).tableSpace = std::ptr::null_mut();
        (*index).idxname = name("belay_twin_index");
        (*index).relation = pg_sys::makeRangeVar(name("pg_temp"), name("belay_twin"), -1);
        copy
    }
}

fn name(name: &str) -> *mut std::ffi::c_char {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: `name` ends with NUL and outlives the call.
    unsafe { pg_sys::pstrdup(name.as_ptr()) }
}
