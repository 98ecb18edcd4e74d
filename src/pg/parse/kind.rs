//! What a statement is: whether it runs in a transaction, what it does to the session.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, NodeTag};

use super::list::{cells, has_option};
use super::refused::Refused;

/// What the engine has to know about a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Runs in a transaction together with its ledger row.
    Ordinary,
    /// SET or RESET: run again before a later statement is resumed.
    Setting,
    /// Makes state of the session (a temporary table, a cursor, ...) that a resumed run would lack.
    SessionState(&'static str),
    /// DO, CALL, plain REINDEX: commits only where it is allowed to.
    MayCommit {
        /// Whether the same again does no harm.
        repeatable: bool,
    },
    /// Cannot run in a transaction block; what it leaves when it dies follows.
    Alone(Alone),
}

/// A statement that commits by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alone {
    /// CREATE INDEX CONCURRENTLY.
    CreateIndex,
    /// DROP INDEX CONCURRENTLY.
    DropIndex,
    /// REINDEX ... CONCURRENTLY.
    Reindex,
    /// ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY.
    DetachPartition,
    /// VACUUM, CLUSTER, ALTER SYSTEM: the same again does no harm.
    Repeatable,
    /// CREATE DATABASE and its like: whether it ended cannot be known from here.
    Unknowable,
}

/// What a statement is, by its node; the list follows PreventInTransactionBlock's callers.
///
/// # Safety
/// A statement node of the raw grammar.
pub(super) unsafe fn kind_of(node: *mut pg_sys::Node) -> Result<Kind, Refused> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        Ok(match (*node).type_ {
            NodeTag::T_TransactionStmt => return Err(Refused::Transaction),
            NodeTag::T_CopyStmt => return copy_kind(node as *mut pg_sys::CopyStmt),
            NodeTag::T_IndexStmt if (*(node as *mut pg_sys::IndexStmt)).concurrent => {
                Kind::Alone(Alone::CreateIndex)
            }
            NodeTag::T_DropStmt if (*(node as *mut pg_sys::DropStmt)).concurrent => {
                Kind::Alone(Alone::DropIndex)
            }
            NodeTag::T_ReindexStmt => reindex_kind(node as *mut pg_sys::ReindexStmt),
            NodeTag::T_VacuumStmt if (*(node as *mut pg_sys::VacuumStmt)).is_vacuumcmd => {
                Kind::Alone(Alone::Repeatable)
            }
            NodeTag::T_ClusterStmt if (*(node as *mut pg_sys::ClusterStmt)).relation.is_null() => {
                Kind::Alone(Alone::Repeatable)
            }
            NodeTag::T_AlterSystemStmt => Kind::Alone(Alone::Repeatable),
            NodeTag::T_AlterTableStmt
                if detaches_concurrently(node as *mut pg_sys::AlterTableStmt) =>
            {
                Kind::Alone(Alone::DetachPartition)
            }
            NodeTag::T_CreatedbStmt
            | NodeTag::T_DropdbStmt
            | NodeTag::T_CreateTableSpaceStmt
            | NodeTag::T_DropTableSpaceStmt
            | NodeTag::T_CreateSubscriptionStmt
            | NodeTag::T_DropSubscriptionStmt
            | NodeTag::T_DiscardStmt
                if runs_alone(node) =>
            {
                Kind::Alone(Alone::Unknowable)
            }
            NodeTag::T_VariableSetStmt => {
                return setting_kind(node as *mut pg_sys::VariableSetStmt);
            }
            NodeTag::T_DoStmt | NodeTag::T_CallStmt => Kind::MayCommit { repeatable: false },
            NodeTag::T_PrepareStmt => Kind::SessionState("PREPARE"),
            NodeTag::T_ListenStmt => Kind::SessionState("LISTEN"),
            NodeTag::T_DeclareCursorStmt => Kind::SessionState("DECLARE CURSOR"),
            _ if makes_temporary(node) => Kind::SessionState("a temporary table"),
            _ => Kind::Ordinary,
        })
    }
}

/// SET TRANSACTION is transaction control; every other SET is a setting.
unsafe fn setting_kind(set: *mut pg_sys::VariableSetStmt) -> Result<Kind, Refused> {
    // SAFETY: set is a VariableSetStmt; of SET TRANSACTION and SET SESSION CHARACTERISTICS
    // the name says which.
    unsafe {
        let multiple = (*set).kind == pg_sys::VariableSetKind::VAR_SET_MULTI;
        match multiple && CStr::from_ptr((*set).name) == c"TRANSACTION" {
            true => Err(Refused::Transaction),
            false => Ok(Kind::Setting),
        }
    }
}

unsafe fn copy_kind(copy: *mut pg_sys::CopyStmt) -> Result<Kind, Refused> {
    // SAFETY: copy is a CopyStmt.
    unsafe {
        match (
            (*copy).filename.is_null() && !(*copy).is_program,
            (*copy).is_from,
        ) {
            (true, true) => Err(Refused::CopyStdin),
            (true, false) => Err(Refused::CopyStdout),
            (false, _) => Ok(Kind::Ordinary),
        }
    }
}

unsafe fn reindex_kind(reindex: *mut pg_sys::ReindexStmt) -> Kind {
    // SAFETY: reindex is a ReindexStmt, its params a list of DefElem.
    unsafe {
        if has_option((*reindex).params, &[c"concurrently"], true) {
            return Kind::Alone(Alone::Reindex);
        }
        match (*reindex).kind {
            pg_sys::ReindexObjectType::REINDEX_OBJECT_INDEX
            | pg_sys::ReindexObjectType::REINDEX_OBJECT_TABLE => {
                Kind::MayCommit { repeatable: true }
            }
            _ => Kind::Alone(Alone::Repeatable),
        }
    }
}

unsafe fn detaches_concurrently(alter: *mut pg_sys::AlterTableStmt) -> bool {
    // SAFETY: commands are AlterTableCmd; of a detach, `def` is a PartitionCmd.
    unsafe {
        cells((*alter).cmds).any(|cell| {
            let command = cell as *mut pg_sys::AlterTableCmd;
            (*command).subtype == pg_sys::AlterTableType::AT_DetachPartition
                && (*((*command).def as *mut pg_sys::PartitionCmd)).concurrent
        })
    }
}

/// Subscriptions with a slot to make or drop, and DISCARD ALL, are alone; the rest always is.
unsafe fn runs_alone(node: *mut pg_sys::Node) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match (*node).type_ {
            NodeTag::T_DiscardStmt => {
                (*(node as *mut pg_sys::DiscardStmt)).target == pg_sys::DiscardMode::DISCARD_ALL
            }
            NodeTag::T_CreateSubscriptionStmt => {
                let options = (*(node as *mut pg_sys::CreateSubscriptionStmt)).options;
                !has_option(options, &[c"create_slot", c"connect"], false)
            }
            _ => true,
        }
    }
}

unsafe fn makes_temporary(node: *mut pg_sys::Node) -> bool {
    // SAFETY: each cast follows the node's tag; relations of these nodes are not NULL.
    unsafe {
        let relation = match (*node).type_ {
            NodeTag::T_CreateStmt => (*(node as *mut pg_sys::CreateStmt)).relation,
            NodeTag::T_CreateTableAsStmt => (*(*(node as *mut pg_sys::CreateTableAsStmt)).into).rel,
            NodeTag::T_ViewStmt => (*(node as *mut pg_sys::ViewStmt)).view,
            NodeTag::T_SelectStmt => {
                let into = (*(node as *mut pg_sys::SelectStmt)).intoClause;
                if into.is_null() {
                    return false;
                }
                (*into).rel
            }
            NodeTag::T_CreateSeqStmt => (*(node as *mut pg_sys::CreateSeqStmt)).sequence,
            _ => return false,
        };
        let schema = (*relation).schemaname;
        (*relation).relpersistence == pg_sys::RELPERSISTENCE_TEMP as c_char
            || (!schema.is_null() && CStr::from_ptr(schema) == c"pg_temp")
    }
}
