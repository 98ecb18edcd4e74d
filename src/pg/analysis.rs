//! Parse analysis and rewriting of queries, and nothing further: would the server understand them now?
//!
//! They are never planned: the planner runs immutable functions on constants, and a function in SQL that it
//! inlines runs as whoever looks. Analysis looks names up and runs nothing that a user wrote, with one
//! exception: a literal is read by its type's input function, and that of an array, row or range of a domain
//! runs the domain's CHECK. So while a query is analysed, [`refuse_call`] lets no function be called by an
//! expression but the server's own immutable ones. (Input functions themselves are C: only a superuser makes
//! them.) The hooks of other libraries after the analysis are not called: pg_stat_statements would
//! count a query that nobody sent.
//!
//! Analysis locks the relations that it meets, so it belongs into a subtransaction that is rolled back.

mod named;

use std::cell::Cell;
use std::ffi::CString;

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys::{self, NodeTag, Oid};

use super::object::Object;
use super::transaction::in_undone_subtransaction;
use super::{class, list, settings};
use crate::error::{Code, Failure, Result};

mod raw {
    use pgrx::pg_sys::{Oid, ParseState, Query};

    unsafe extern "C-unwind" {
        pub fn setup_parse_variable_parameters(
            state: *mut ParseState,
            types: *mut *mut Oid,
            count: *mut i32,
        );
        pub fn check_variable_parameters(state: *mut ParseState, query: *mut Query);
    }
}

thread_local! {
    /// Whether a query is being analysed.
    static ANALYSING: Cell<bool> = const { Cell::new(false) };
}

/// A query, and the search_path along which its names are looked up.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// One statement, with $1, $2, ... for its parameters.
    pub sql: &'a str,
    /// search_path.
    pub search_path: &'a str,
}

/// Why the server does not understand a query.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The five characters.
    pub sqlstate: String,
    /// The server's words, with the place in the query's text.
    pub message: String,
}

/// What each query lacks, as the caller; `None`: it passes. Fails where the server has no verdict, as when
/// a lock is not to be had.
pub fn judge<'a>(queries: impl IntoIterator<Item = Query<'a>>) -> Result<Vec<Option<Problem>>> {
    let mut queries = queries.into_iter().peekable();
    let mut verdicts = Vec::new();
    // One subtransaction as long as none fails: it costs more than the analysis of a small query.
    while queries.peek().is_some() {
        let result = in_undone_subtransaction(|| {
            let _analysing = Analysing::begin();
            for query in queries.by_ref() {
                settings::set_text_for_level(c"search_path", query.search_path);
                analyse(query.sql, |_| ())?;
                verdicts.push(None);
            }
            Ok(())
        });
        if let Err(failure) = result {
            verdicts.push(problem(failure)?);
        }
    }
    Ok(verdicts)
}

/// The objects that a query names, views that it reads through included; `None` where it does not pass.
pub fn objects(query: Query<'_>) -> Result<Option<Vec<Object>>> {
    let result = in_undone_subtransaction(|| {
        let _analysing = Analysing::begin();
        settings::set_text_for_level(c"search_path", query.search_path);
        let mut found = Vec::new();
        // SAFETY: a query that has just been analysed.
        analyse(query.sql, |tree| {
            found.extend(unsafe { named::named(tree) })
        })?;
        Ok(found)
    });
    match result {
        Ok(found) => Ok(Some(found)),
        Err(failure) => problem(failure).map(|_| None),
    }
}

/// Refuses what is not one statement of those that can be analysed.
pub fn refuse_unfit(sql: &str) -> Result<()> {
    let text = c_string(sql)?;
    // SAFETY: the text ends with NUL and outlives the tree; the cells are RawStmt nodes.
    let (count, fit) = unsafe {
        let statements = pg_sys::pg_parse_query(text.as_ptr());
        let fit = list::cells(statements).all(|cell| {
            matches!(
                (*(*cell.cast::<pg_sys::RawStmt>()).stmt).type_,
                NodeTag::T_SelectStmt
                    | NodeTag::T_InsertStmt
                    | NodeTag::T_UpdateStmt
                    | NodeTag::T_DeleteStmt
                    | NodeTag::T_MergeStmt
                    | NodeTag::T_CallStmt
            )
        });
        (list::cells(statements).count(), fit)
    };
    if count == 1 && fit {
        return Ok(());
    }
    Err(Failure::new(
        Code::Statement,
        match count {
            1 => "only SELECT, INSERT, UPDATE, DELETE, MERGE and CALL can be checked".to_owned(),
            0 => "the query is empty".to_owned(),
            count => format!("the query holds {count} statements"),
        },
        "pass one such statement, with $1, $2, ... for its parameters",
    ))
}

/// As [`refuse_unfit`], with the reason as a value.
pub fn attempt_unfit(sql: &str) -> Result<Option<Problem>> {
    match in_undone_subtransaction(|| refuse_unfit(sql)) {
        Ok(()) => Ok(None),
        Err(failure) => problem(failure),
    }
}

/// Called with each function that an expression is about to call: refuses it while a query is analysed,
/// unless it is the server's own and depends on nothing but its arguments.
pub fn refuse_call(function: Oid) -> Result<()> {
    if !ANALYSING.get() {
        return Ok(());
    }
    let object = Object {
        class: class::PROCEDURE,
        id: function,
    };
    // SAFETY: a catalog look-up.
    let immutable =
        || unsafe { pg_sys::func_volatile(function) } as u8 == pg_sys::PROVOLATILE_IMMUTABLE;
    if object.is_system() && immutable() {
        return Ok(());
    }
    let name = object.identity().unwrap_or_else(|| "a function".to_owned());
    Err(Failure::new(
        Code::Statement,
        format!("reading a literal of the query would run {name}"),
        "write the literal as a parameter: $1",
    ))
}

/// Also when an error takes us out.
struct Analysing(bool);

impl Analysing {
    fn begin() -> Analysing {
        // What is set for it is undone with the subtransaction.
        let _ = settings::open_level();
        Analysing(ANALYSING.replace(true))
    }
}

impl Drop for Analysing {
    fn drop(&mut self) {
        ANALYSING.set(self.0);
    }
}

/// Analyses and rewrites; `look` is given each tree. Source: parse_analyze_varparams (analyze.c) without its
/// hook, and pg_rewrite_query (postgres.c).
fn analyse(sql: &str, mut look: impl FnMut(*mut pg_sys::Query)) -> Result<()> {
    let text = c_string(sql)?;
    pgrx::check_for_interrupts!();
    // SAFETY: the text outlives the trees, which live in a context of their own; an error is undone by the
    // subtransaction that we are in.
    unsafe {
        PgMemoryContexts::new("belay analysis").switch_to(|_| {
            for cell in list::cells(pg_sys::pg_parse_query(text.as_ptr())) {
                let statement = cell.cast::<pg_sys::RawStmt>();
                let snapshot = pg_sys::analyze_requires_snapshot(statement);
                if snapshot {
                    pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
                }
                let state = pg_sys::make_parsestate(std::ptr::null_mut());
                (*state).p_sourcetext = text.as_ptr();
                let (mut types, mut count) = (std::ptr::null_mut(), 0);
                raw::setup_parse_variable_parameters(state, &mut types, &mut count);
                let query = pg_sys::transformTopLevelStmt(state, statement);
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    raw::check_variable_parameters(state, query);
                });
                pg_sys::free_parsestate(state);
                look(query);
                if (*query).commandType != pg_sys::CmdType::CMD_UTILITY {
                    for rewritten in list::cells(pg_sys::QueryRewrite(query)) {
                        look(rewritten.cast());
                    }
                }
                if snapshot {
                    pg_sys::PopActiveSnapshot();
                }
            }
        });
    }
    Ok(())
}

fn c_string(sql: &str) -> Result<CString> {
    CString::new(sql).map_err(|_| {
        Failure::new(
            Code::Statement,
            "the query holds a NUL byte",
            "write the text without it",
        )
    })
}

/// What an error says of the query; `None`: nothing that will not have gone with the commit.
fn problem(failure: Failure) -> Result<Option<Problem>> {
    /// unsafe_new_enum_value_usage: an enum's value that this transaction has added.
    const NEW_ENUM_VALUE: &str = "55P04";
    /// A lock that was not to be had; connections, transactions, resources, operators, the system, bugs.
    const LOCK: &str = "55P03";
    const OF_THE_SERVER: [&str; 7] = ["08", "25", "40", "53", "57", "58", "XX"];
    let sqlstate = failure.sqlstate();
    if sqlstate == NEW_ENUM_VALUE {
        return Ok(None);
    }
    if sqlstate == LOCK || OF_THE_SERVER.contains(&sqlstate.get(..2).unwrap_or_default()) {
        return Err(failure);
    }
    let place = match &failure {
        Failure::Server(error) if error.cursor_position > 0 => {
            format!(" at character {}", error.cursor_position)
        }
        _ => String::new(),
    };
    Ok(Some(Problem {
        message: format!("{failure}{place}"),
        sqlstate,
    }))
}
