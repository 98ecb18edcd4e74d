//! SQL through the server's own grammar: where statements begin and end, which of them
//! cannot run in a transaction block, which may not stand in a migration.
//!
//! Only the raw grammar is used: no catalog is looked at, so texts can be checked when they
//! are registered. What fails a transaction block only at run time is not seen here.

mod alone;
mod control;
pub mod index;
mod kind;
mod privileged;
mod refused;
mod target;
pub mod update;
mod verb;

use std::ffi::{CStr, CString};

use belay_core::sql::tokens;
use pgrx::pg_sys;

use super::list;
use crate::error::{Code, Failure, Result};

pub use kind::{Alone, Kind};
pub use target::{Target, table, target};

/// One statement of a text.
#[derive(Debug)]
pub struct Statement {
    /// What it is.
    pub kind: Kind,
    /// Byte at which it begins in the text.
    pub start: usize,
    /// Byte after its end.
    pub end: usize,
    /// Whether it takes rights that a deploying role may lack.
    pub privileged: bool,
    pub(super) raw: *mut pg_sys::RawStmt,
}

impl Statement {
    /// Whether it cannot run in a transaction block.
    pub fn is_alone(&self) -> bool {
        matches!(self.kind, Kind::Alone(_))
    }
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
        self.text_between(statement.start, statement.end)
    }

    /// The text that was parsed.
    pub fn whole_text(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    fn text_between(&self, start: usize, end: usize) -> &str {
        self.text
            .to_str()
            .unwrap_or_default()
            .get(start..end)
            .unwrap_or_default()
    }

    /// Whether a statement cannot run in a transaction block.
    pub fn needs_no_transaction(&self) -> bool {
        self.statements.iter().any(Statement::is_alone)
    }

    /// Whether a statement takes rights that a deploying role may lack.
    pub fn is_privileged(&self) -> bool {
        self.statements.iter().any(|s| s.privileged)
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
    // SAFETY: the text ends with NUL and outlives the trees (Script owns both); list cells
    // of pg_parse_query are RawStmt nodes.
    let found: Vec<*mut pg_sys::RawStmt> = unsafe {
        list::cells(pg_sys::pg_parse_query(text.as_ptr()))
            .map(|cell| cell as *mut pg_sys::RawStmt)
            .collect()
    };
    // SAFETY: the nodes were just parsed.
    let stripped = unsafe { control::has_outer_pair(&found) };
    let kept = match found.as_slice() {
        [_, inner @ .., _] if stripped => inner,
        all => all,
    };
    let mut script = Script {
        text,
        statements: Vec::with_capacity(kept.len()),
        stripped,
    };
    for &raw in kept {
        // SAFETY: as above.
        let ((start, end), kind, privileged) = unsafe {
            let node = (*raw).stmt;
            (
                extent(raw, &script.text),
                kind::kind_of(node),
                privileged::is_privileged(node),
            )
        };
        let kind = kind.map_err(|refused| refused.failure(&script, start, end))?;
        script.statements.push(Statement {
            kind,
            start,
            end,
            privileged,
            raw,
        });
    }
    Ok(script)
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
