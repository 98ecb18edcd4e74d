//! The parts of an UPDATE that a caller writes: a list of assignments and a condition, and nothing beside them.

use std::ffi::{CStr, CString};

use belay_core::sql::{TokenKind, tokens};
use pgrx::pg_sys::{self, NodeTag};

use crate::error::{Code, Failure, Result};
use crate::pg::compat;
use crate::pg::list::cells;

/// The columns that a list of assignments sets, as in `a = 1, b = lower(c)`. Anything else is refused (42601 by the
/// grammar, else 22023).
pub fn assigned_columns(set: &str) -> Result<Vec<String>> {
    let refused = || {
        Failure::new(
            Code::InvalidParameter,
            "set holds more than assignments",
            "write what stands between SET and WHERE: set => 'amount_cents = amount * 100'",
        )
        .detail(set.to_owned())
    };
    let text = c_text(&format!("UPDATE t SET {set}\n"), refused)?;
    // SAFETY: the text outlives the tree; each cast follows the node's tag.
    unsafe {
        let raw = only_statement(&text).ok_or_else(refused)?;
        if (*raw).type_ != NodeTag::T_UpdateStmt {
            return Err(refused());
        }
        let update = raw as *mut pg_sys::UpdateStmt;
        if !(*update).whereClause.is_null()
            || !(*update).fromClause.is_null()
            || !(*update).withClause.is_null()
            || compat::update_returns(update)
        {
            return Err(refused());
        }
        Ok(cells((*update).targetList)
            .map(|target| {
                let name = (*(target as *mut pg_sys::ResTarget)).name;
                CStr::from_ptr(name).to_string_lossy().into_owned()
            })
            .collect())
    }
}

/// Refuses what is not one expression.
pub fn check_condition(condition: &str) -> Result<()> {
    let refused = || {
        Failure::new(
            Code::InvalidParameter,
            "where is not one condition",
            "write what stands behind WHERE: \"where\" => 'amount_cents IS NULL'",
        )
        .detail(condition.to_owned())
    };
    let text = c_text(&format!("SELECT {condition}\n"), refused)?;
    // SAFETY: as above.
    unsafe {
        let raw = only_statement(&text).ok_or_else(refused)?;
        if (*raw).type_ != NodeTag::T_SelectStmt {
            return Err(refused());
        }
        let select = raw as *mut pg_sys::SelectStmt;
        let plain = is_bare(select);
        let targets: Vec<_> = cells((*select).targetList).collect();
        match targets.as_slice() {
            [one] if plain && (*(*one as *mut pg_sys::ResTarget)).name.is_null() => Ok(()),
            _ => Err(refused()),
        }
    }
}

/// The text, which holds no parameter: those of a batch are its bounds.
fn c_text(text: &str, refused: impl Fn() -> Failure) -> Result<CString> {
    let has_parameter = tokens(text)
        .flatten()
        .any(|token| token.kind == TokenKind::Parameter);
    match has_parameter {
        true => Err(refused()),
        false => CString::new(text).map_err(|_| refused()),
    }
}

/// The node of the one statement of a text.
unsafe fn only_statement(text: &CStr) -> Option<*mut pg_sys::Node> {
    // SAFETY: cells of pg_parse_query are RawStmt nodes.
    unsafe {
        let mut statements = cells(pg_sys::pg_parse_query(text.as_ptr()));
        let first = statements.next()? as *mut pg_sys::RawStmt;
        statements.next().is_none().then(|| (*first).stmt)
    }
}

/// Whether a SELECT is nothing but a list of targets.
///
/// # Safety
/// A node of the raw grammar.
pub unsafe fn is_bare(select: *mut pg_sys::SelectStmt) -> bool {
    // SAFETY: the caller's.
    unsafe {
        (*select).op == pg_sys::SetOperation::SETOP_NONE
            && (*select).fromClause.is_null()
            && (*select).whereClause.is_null()
            && (*select).groupClause.is_null()
            && (*select).havingClause.is_null()
            && (*select).windowClause.is_null()
            && (*select).valuesLists.is_null()
            && (*select).sortClause.is_null()
            && (*select).limitOffset.is_null()
            && (*select).limitCount.is_null()
            && (*select).lockingClause.is_null()
            && (*select).withClause.is_null()
            && (*select).intoClause.is_null()
            && (*select).distinctClause.is_null()
    }
}
