//! What a statement is: whether it runs in a transaction, what it does to the session.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, NodeTag};

use super::refused::Refused;
use super::verb;
use crate::pg::list::{cells, has_option, names_option};

/// What the engine has to know about a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Runs in a transaction together with its ledger row.
    Ordinary,
    /// SET or RESET: run again before a later statement is resumed.
    Setting,
    /// Makes state of the session (a temporary table, a cursor, ...) that a resumed run would lack.
    SessionState(&'static str),
    /// DO, CALL, plain REINDEX and CLUSTER: commits only where it is allowed to.
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
    /// VACUUM, CLUSTER, ALTER SYSTEM, Belay's online verbs: the same again does no harm.
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
            // Of a partitioned table it commits after each partition.
            NodeTag::T_ClusterStmt => {
                match (*(node as *mut pg_sys::ClusterStmt)).relation.is_null() {
                    true => Kind::Alone(Alone::Repeatable),
                    false => Kind::MayCommit { repeatable: true },
                }
            }
            NodeTag::T_AlterDatabaseStmt
                if names_option(
                    (*(node as *mut pg_sys::AlterDatabaseStmt)).options,
                    c"tablespace",
                ) =>
            {
                Kind::Alone(Alone::Repeatable)
            }
            NodeTag::T_AlterSubscriptionStmt => {
                alter_subscription_kind(node as *mut pg_sys::AlterSubscriptionStmt)
            }
            NodeTag::T_SelectStmt if is_set_config(node as *mut pg_sys::SelectStmt) => {
                Kind::Setting
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
            NodeTag::T_DoStmt => Kind::MayCommit { repeatable: false },
            NodeTag::T_CallStmt => {
                verb::kind_of(node).unwrap_or(Kind::MayCommit { repeatable: false })
            }
            NodeTag::T_PrepareStmt => Kind::SessionState("PREPARE"),
            NodeTag::T_ListenStmt => Kind::SessionState("LISTEN"),
            NodeTag::T_DeclareCursorStmt => Kind::SessionState("DECLARE CURSOR"),
            _ if makes_temporary(node) => Kind::SessionState("a temporary object"),
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
        let of_transaction = [c"TRANSACTION", c"TRANSACTION SNAPSHOT"];
        match multiple && of_transaction.contains(&CStr::from_ptr((*set).name)) {
            true => Err(Refused::Transaction),
            false => Ok(Kind::Setting),
        }
    }
}

/// `SELECT set_config(...)`, as pg_dump writes it: nothing else in the list, no FROM.
unsafe fn is_set_config(select: *mut pg_sys::SelectStmt) -> bool {
    // SAFETY: the targets of a SelectStmt are ResTarget; a function's name is a list of String.
    unsafe {
        let mut targets = cells((*select).targetList);
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return false;
        };
        let value = (*(target as *mut pg_sys::ResTarget)).val;
        if !(*select).fromClause.is_null()
            || value.is_null()
            || (*value).type_ != NodeTag::T_FuncCall
        {
            return false;
        }
        cells((*(value as *mut pg_sys::FuncCall)).funcname)
            .last()
            .is_some_and(|name| {
                CStr::from_ptr((*(name as *mut pg_sys::String)).sval) == c"set_config"
            })
    }
}

/// What refreshes a subscription, or changes its slot, cannot run in a transaction block.
unsafe fn alter_subscription_kind(alter: *mut pg_sys::AlterSubscriptionStmt) -> Kind {
    use pg_sys::AlterSubscriptionType as Type;
    // SAFETY: alter is an AlterSubscriptionStmt, its options a list of DefElem.
    unsafe {
        let options = (*alter).options;
        let alone = match (*alter).kind {
            Type::ALTER_SUBSCRIPTION_REFRESH => true,
            Type::ALTER_SUBSCRIPTION_SET_PUBLICATION
            | Type::ALTER_SUBSCRIPTION_ADD_PUBLICATION
            | Type::ALTER_SUBSCRIPTION_DROP_PUBLICATION => {
                !has_option(options, &[c"refresh"], false)
            }
            Type::ALTER_SUBSCRIPTION_OPTIONS => {
                names_option(options, c"failover") || names_option(options, c"two_phase")
            }
            _ => false,
        };
        match (alone, (*alter).kind) {
            (false, _) => Kind::Ordinary,
            (
                true,
                Type::ALTER_SUBSCRIPTION_ADD_PUBLICATION
                | Type::ALTER_SUBSCRIPTION_DROP_PUBLICATION,
            ) => Kind::Alone(Alone::Unknowable),
            (true, _) => Kind::Alone(Alone::Repeatable),
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
