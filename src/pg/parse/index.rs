//! One CREATE INDEX, and the same for another table.

use std::ffi::CString;

use pgrx::pg_sys::{self, NodeTag};

use super::{Alone, Kind, Script, Statement, parse};
use crate::error::{Code, Failure, Result};

/// Parses a text that has to be one CREATE INDEX; it is to be built concurrently, whether it says so or not.
pub fn parse_index(text: &str) -> Result<Script> {
    let mut script = parse(text)?;
    let refused = || {
        Failure::new(
            Code::InvalidParameter,
            "definition is not one CREATE INDEX",
            "as in definition => 'CREATE INDEX orders_customer ON orders (customer_id)'",
        )
    };
    let [statement] = script.statements.as_mut_slice() else {
        return Err(refused());
    };
    // SAFETY: the raw tree was just parsed; the cast follows the node's tag.
    unsafe {
        let node = (*statement.raw).stmt;
        if (*node).type_ != NodeTag::T_IndexStmt {
            return Err(refused());
        }
        let index = node as *mut pg_sys::IndexStmt;
        (*index).concurrent = true;
        (*index).if_not_exists = false;
    }
    statement.kind = Kind::Alone(Alone::CreateIndex);
    Ok(script)
}

/// Whether a CREATE INDEX gives a name.
pub fn gives_name(statement: &Statement) -> bool {
    // SAFETY: the statement is one of [`parse_index`].
    unsafe {
        !(*((*statement.raw).stmt as *mut pg_sys::IndexStmt))
            .idxname
            .is_null()
    }
}

/// A copy to run: the server writes into the tree what it finds out about the table, and nobody else can use it then.
pub fn copied(statement: &Statement) -> Statement {
    Statement {
        kind: statement.kind.clone(),
        start: statement.start,
        end: statement.end,
        privileged: statement.privileged,
        // SAFETY: the raw tree belongs to the statement; the copy lives in the current context.
        raw: unsafe { pg_sys::copyObjectImpl(statement.raw.cast()) } as *mut pg_sys::RawStmt,
    }
}

/// The same index of another table: concurrently, or as the part of a partitioned table's index that holds no rows. Without a name the
/// server's rule gives one.
pub fn for_table(
    statement: &Statement,
    (schema, table): (&str, &str),
    name: Option<&str>,
    concurrent: bool,
) -> Statement {
    // SAFETY: the statement is one of [`parse_index`]; copy and names are palloc'd in the current context.
    let raw = unsafe {
        let copy = pg_sys::copyObjectImpl(statement.raw.cast()) as *mut pg_sys::RawStmt;
        let index = (*copy).stmt as *mut pg_sys::IndexStmt;
        (*index).relation = pg_sys::makeRangeVar(palloced(schema), palloced(table), -1);
        (*(*index).relation).inh = concurrent;
        (*index).concurrent = concurrent;
        (*index).idxname = name.map_or(std::ptr::null_mut(), palloced);
        copy
    };
    Statement {
        kind: match concurrent {
            true => Kind::Alone(Alone::CreateIndex),
            false => Kind::Ordinary,
        },
        start: statement.start,
        end: statement.end,
        privileged: false,
        raw,
    }
}

fn palloced(text: &str) -> *mut std::ffi::c_char {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the text ends with NUL and outlives the call.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}
