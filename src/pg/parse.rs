//! SQL through the server's own grammar: where statements begin and end, which of them
//! cannot run in a transaction block, which may not stand in a migration.
//!
//! Only the raw grammar is used: no catalog is looked at, so texts can be checked when they
//! are registered. What fails a transaction block only at run time is not seen here.

use std::ffi::{CStr, CString, c_char};

use belay_core::sql::tokens;

use pgrx::pg_sys::{self, NodeTag};

use crate::error::{Code, Failure, Result};

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

/// One statement of a text.
#[derive(Debug)]
pub struct Statement {
    /// What it is.
    pub kind: Kind,
    /// Byte at which it begins in the text.
    pub start: usize,
    /// Byte after its end.
    pub end: usize,
    pub(super) raw: *mut pg_sys::RawStmt,
}

/// A parsed text. The parse trees live in the memory context that was current.
#[derive(Debug)]
pub struct Script {
    pub(super) text: CString,
    /// The statements to run, without an outer BEGIN and COMMIT.
    pub statements: Vec<Statement>,
    /// Whether an outer BEGIN ... COMMIT was taken off.
    pub stripped: bool,
}

impl Script {
    /// The text of one statement.
    pub fn statement_text(&self, statement: &Statement) -> &str {
        self.text
            .to_str()
            .unwrap_or_default()
            .get(statement.start..statement.end)
            .unwrap_or_default()
    }

    /// Whether a statement cannot run in a transaction block.
    pub fn needs_no_transaction(&self) -> bool {
        self.statements
            .iter()
            .any(|s| matches!(s.kind, Kind::Alone(_)))
    }

    /// The line of the text, from 1, at which a byte stands.
    pub fn line_of(&self, byte: usize) -> usize {
        let bytes = self.text.as_bytes();
        1 + bytes[..byte.min(bytes.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
    }
}

/// Parses a text and refuses what migrations may not hold.
pub fn parse(text: &str) -> Result<Script> {
    let text = CString::new(text).map_err(|_| {
        Failure::new(
            Code::File,
            "the SQL text holds a NUL byte",
            "write the text without it",
        )
    })?;
    let mut statements = Vec::new();
    // SAFETY: the text ends with NUL and outlives the trees (Script owns both); list cells
    // of pg_parse_query are RawStmt nodes.
    unsafe {
        let list = pg_sys::pg_parse_query(text.as_ptr());
        let length = if list.is_null() { 0 } else { (*list).length };
        for i in 0..length {
            let raw = (*(*list).elements.add(i as usize)).ptr_value as *mut pg_sys::RawStmt;
            let (start, end) = extent(raw, &text);
            statements.push((raw, start, end));
        }
    }
    let script = Script {
        text,
        statements: Vec::new(),
        stripped: false,
    };
    keep_runnable(script, statements)
}

/// Byte range of a raw statement, without the white space and comments before it (which the
/// server counts in until 17).
unsafe fn extent(raw: *mut pg_sys::RawStmt, text: &CStr) -> (usize, usize) {
    // SAFETY: raw is a RawStmt; a length of 0 means "to the end".
    let (start, length) = unsafe { ((*raw).stmt_location.max(0) as usize, (*raw).stmt_len) };
    let bytes = text.to_bytes();
    let end = if length > 0 {
        start + length as usize
    } else {
        bytes.len()
    };
    let lead = std::str::from_utf8(&bytes[start..end])
        .ok()
        .and_then(|statement| tokens(statement).next()?.ok())
        .map_or(0, |token| token.start);
    (start + lead, end)
}

fn keep_runnable(
    mut script: Script,
    mut found: Vec<(*mut pg_sys::RawStmt, usize, usize)>,
) -> Result<Script> {
    // SAFETY: the nodes were just parsed.
    let control: Vec<Option<Control>> = found
        .iter()
        .map(|(raw, ..)| unsafe { transaction_control((**raw).stmt) })
        .collect();
    let outer_pair = found.len() >= 2
        && control.first() == Some(&Some(Control::Begin))
        && control.last() == Some(&Some(Control::Commit))
        && control[1..control.len() - 1].iter().all(Option::is_none);
    if outer_pair {
        found.pop();
        found.remove(0);
        script.stripped = true;
    }
    for (raw, start, end) in found {
        // SAFETY: as above.
        let kind = unsafe { kind_of((*raw).stmt) };
        let kind = kind.map_err(|what| refused(&script, what, start, end))?;
        script.statements.push(Statement {
            kind,
            start,
            end,
            raw,
        });
    }
    Ok(script)
}

fn refused(script: &Script, what: Refused, start: usize, end: usize) -> Failure {
    let text = script.text.to_string_lossy();
    let statement: String = text
        .get(start..end)
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    Failure::new(Code::Statement, what.message(), what.hint())
        .detail(format!("statement: {}", first_line(&statement)))
        .at_line(script.line_of(start))
}

fn first_line(text: &str) -> &str {
    let text = text.trim_start();
    text.lines()
        .find(|line| !line.trim_start().starts_with("--"))
        .unwrap_or(text)
}

/// Statements that may not stand in a migration.
enum Refused {
    Transaction,
    CopyStdin,
    CopyStdout,
}

impl Refused {
    fn message(&self) -> &'static str {
        match self {
            Refused::Transaction => "transaction control is not allowed in a migration",
            Refused::CopyStdin => "COPY FROM STDIN is not allowed in a migration",
            Refused::CopyStdout => "COPY TO STDOUT is not allowed in a migration",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Refused::Transaction => {
                "take it out: a migration runs in a transaction of its own; one outer BEGIN ... \
                 COMMIT pair is accepted; \"-- belay: transaction off\" runs statement by statement"
            }
            Refused::CopyStdin => {
                "write the rows as INSERT (pg_dump --inserts), or COPY from a file on the server"
            }
            Refused::CopyStdout => "take it out: nobody receives the rows",
        }
    }
}

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

unsafe fn transaction_control(node: *mut pg_sys::Node) -> Option<Control> {
    use pg_sys::TransactionStmtKind::{TRANS_STMT_BEGIN, TRANS_STMT_COMMIT, TRANS_STMT_START};
    // SAFETY: node is a statement node of the raw grammar.
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

/// What a statement is, by its node; the list follows PreventInTransactionBlock's callers.
unsafe fn kind_of(node: *mut pg_sys::Node) -> std::result::Result<Kind, Refused> {
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
unsafe fn setting_kind(set: *mut pg_sys::VariableSetStmt) -> std::result::Result<Kind, Refused> {
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

unsafe fn copy_kind(copy: *mut pg_sys::CopyStmt) -> std::result::Result<Kind, Refused> {
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
        if has_option((*reindex).params, c"concurrently") {
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

/// Whether a list of options names one and does not switch it off.
unsafe fn has_option(options: *mut pg_sys::List, name: &CStr) -> bool {
    // SAFETY: a list of DefElem nodes, or NULL.
    unsafe {
        cells(options).any(|cell| {
            let option = cell as *mut pg_sys::DefElem;
            CStr::from_ptr((*option).defname) == name && pg_sys::defGetBoolean(option)
        })
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
                !cells(options).any(|cell| {
                    let option = cell as *mut pg_sys::DefElem;
                    let name = CStr::from_ptr((*option).defname);
                    (name == c"create_slot" || name == c"connect") && !pg_sys::defGetBoolean(option)
                })
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

/// The pointers of a List, or none.
unsafe fn cells(list: *mut pg_sys::List) -> impl Iterator<Item = *mut core::ffi::c_void> {
    // SAFETY: the list is a pointer list or NULL and outlives the iterator.
    let length = if list.is_null() {
        0
    } else {
        unsafe { (*list).length }
    };
    (0..length as usize).map(move |i| unsafe { (*(*list).elements.add(i)).ptr_value })
}

/// The names a statement that commits by itself acts on, as written; see `Alone`.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Schema as written.
    pub schema: Option<String>,
    /// Index or table.
    pub name: String,
    /// The partition of a detach.
    pub partition: Option<(Option<String>, String)>,
}

/// What a statement of kind `Alone` acts on; an unnamed index is given its name first, so
/// that a build that dies can be found. `None` where there is nothing to find.
pub fn target(statement: &Statement) -> Option<Target> {
    // SAFETY: the raw tree belongs to the statement and lives as long as its script.
    unsafe {
        let node = (*statement.raw).stmt;
        match &statement.kind {
            Kind::Alone(Alone::CreateIndex) => {
                super::portal::index_target(node as *mut pg_sys::IndexStmt)
            }
            Kind::Alone(Alone::DropIndex) => {
                let names = cells((*(node as *mut pg_sys::DropStmt)).objects).next()?;
                let relation = pg_sys::makeRangeVarFromNameList(names as *mut pg_sys::List);
                Some(from_range(relation))
            }
            Kind::Alone(Alone::Reindex) => {
                let relation = (*(node as *mut pg_sys::ReindexStmt)).relation;
                (!relation.is_null()).then(|| from_range(relation))
            }
            Kind::Alone(Alone::DetachPartition) => {
                let alter = node as *mut pg_sys::AlterTableStmt;
                let command = cells((*alter).cmds).next()? as *mut pg_sys::AlterTableCmd;
                let partition = (*((*command).def as *mut pg_sys::PartitionCmd)).name;
                let child = from_range(partition);
                let mut target = from_range((*alter).relation);
                target.partition = Some((child.schema, child.name));
                Some(target)
            }
            _ => None,
        }
    }
}

unsafe fn from_range(relation: *mut pg_sys::RangeVar) -> Target {
    // SAFETY: a RangeVar's names end with NUL; the schema may be NULL.
    unsafe {
        let schema = (*relation).schemaname;
        Target {
            schema: (!schema.is_null())
                .then(|| CStr::from_ptr(schema).to_string_lossy().into_owned()),
            name: CStr::from_ptr((*relation).relname)
                .to_string_lossy()
                .into_owned(),
            partition: None,
        }
    }
}
