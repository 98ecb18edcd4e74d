//! The outer BEGIN ... COMMIT pair that a migration may have.

use pgrx::pg_sys::TransactionStmtKind::{TRANS_STMT_BEGIN, TRANS_STMT_COMMIT, TRANS_STMT_START};
use pgrx::pg_sys::{self, NodeTag};

/// Transaction control, as far as an outer pair is told by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    /// BEGIN without options: with them it would mean more than Belay's own transaction does.
    Begin,
    /// COMMIT without AND CHAIN.
    Commit,
    /// Everything else.
    Other,
}

/// Whether the statements are one BEGIN, anything but transaction control, one COMMIT.
///
/// # Safety
/// Each is a RawStmt of the raw grammar.
pub(super) unsafe fn has_outer_pair(statements: &[*mut pg_sys::RawStmt]) -> bool {
    // SAFETY: the caller's.
    let control = |raw: &*mut pg_sys::RawStmt| unsafe { control_of((**raw).stmt) };
    match statements {
        [first, inner @ .., last] => {
            control(first) == Some(Control::Begin)
                && control(last) == Some(Control::Commit)
                && inner.iter().all(|raw| control(raw).is_none())
        }
        _ => false,
    }
}

unsafe fn control_of(node: *mut pg_sys::Node) -> Option<Control> {
    // SAFETY: node is a statement node of the raw grammar; the cast follows its tag.
    unsafe {
        if (*node).type_ != NodeTag::T_TransactionStmt {
            return None;
        }
        let control = node as *mut pg_sys::TransactionStmt;
        Some(match (*control).kind {
            TRANS_STMT_BEGIN | TRANS_STMT_START if (*control).options.is_null() => Control::Begin,
            TRANS_STMT_COMMIT if !(*control).chain => Control::Commit,
            _ => Control::Other,
        })
    }
}
