//! Columns that are renamed or given another type while old and new code run.
//!
//! A change keeps two columns in step, the source and its copy: first by a trigger, from the moment in which the copy
//! is there, then row by row by a backfill. What belongs to the source is made for the copy while both are used. A
//! change ends in one short transaction: either the copy goes, or it takes the source's place and the source goes.
//! Whatever was begun is found again by the change's row, so that each verb goes on where the last one stopped.

mod carry;
mod found;
mod obstacles;
mod pair;
mod texts;

use pgrx::pg_sys::Oid;

use self::found::{Found, find};
use self::pair::Work;
use super::attempts;
use super::session::Session;
use crate::error::{Code, Failure, Result};
use crate::ledger::column_change::{ColumnChange, Phase, Types};
use crate::pg::client;
use crate::pg::lock::COLUMNS_CLASS;
use crate::pg::parse;
use crate::pg::portal::Memory;
use crate::pg::transaction;

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// old → both
    Begin,
    /// both → old
    Undo,
    /// both → new
    Cleanup,
    /// new → both
    UndoCleanup,
}

/// The names of the four verbs of a family, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// `rename_column_concurrently`
    pub begin: &'static str,
    /// `undo_rename_column_concurrently`
    pub undo: &'static str,
    /// `cleanup_concurrent_column_rename`
    pub cleanup: &'static str,
    /// `undo_cleanup_concurrent_column_rename`
    pub undo_cleanup: &'static str,
}

/// Renames.
pub const RENAME: Family = Family {
    begin: "rename_column_concurrently",
    undo: "undo_rename_column_concurrently",
    cleanup: "cleanup_concurrent_column_rename",
    undo_cleanup: "undo_cleanup_concurrent_column_rename",
};

/// Changes of types.
pub const TYPE: Family = Family {
    begin: "change_column_type_concurrently",
    undo: "undo_change_column_type_concurrently",
    cleanup: "cleanup_concurrent_column_type_change",
    undo_cleanup: "undo_cleanup_concurrent_column_type_change",
};

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The table.
    pub table: Oid,
    /// The column's name in phase old.
    pub first: String,
    /// Its name in phase new; of a type change the second column's.
    pub second: String,
    /// The family.
    pub family: Family,
    /// What a type change begins with: the new type and the expressions; `None` otherwise.
    pub types: Option<Types>,
}

impl Asked {
    /// Whether it is about a type.
    pub fn is_type(&self) -> bool {
        self.family.begin == TYPE.begin
    }

    /// The call of a verb with the same columns, for hints.
    fn call(&self, verb: &str, found: &Found) -> String {
        let quote = pgrx::spi::quote_literal::<&str>;
        let (table, first) = (quote(&found.table.quoted), quote(&self.first));
        match self.is_type() {
            true => format!("CALL belay.{verb}({table}, {first})"),
            false => format!(
                "CALL belay.{verb}({table}, {first}, {})",
                quote(&self.second)
            ),
        }
    }
}

/// The name of the second column of a type change.
pub fn second_column(column: &str) -> String {
    const SUFFIX: &str = "_for_type_change";
    let mut end = column.len().min(63 - SUFFIX.len());
    while !column.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SUFFIX}", &column[..end])
}

/// At most 63 bytes, as names are. What is cut gets a mark of what it was, so that two names stay two.
fn clipped(name: &str) -> String {
    const LONGEST: usize = 63;
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let mark = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut end = LONGEST - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{mark:08x}", &name[..end])
}

/// Runs statements of Belay's own in the transaction that is open, as the caller.
fn run_sql(statements: &[String]) -> Result<()> {
    let _memory = Memory::enter_within();
    for sql in statements {
        let script = parse::parse(sql)?;
        for statement in &script.statements {
            attempts::run_statement(&script, statement)?;
        }
    }
    Ok(())
}

/// Runs a verb.
pub fn run(session: &Session, verb: Verb, asked: &Asked) -> Result<()> {
    session.refuse_procedural(asked.family.begin)?;
    let what = format!(
        "a column of the table is being changed (\"{}\")",
        asked.first
    );
    session.alone_at(COLUMNS_CLASS, asked.table.to_u32(), &what, || {
        let found = transaction::committed(session.mode, || {
            session.ledger.forget_changes_of_dropped_tables()?;
            find(&session.ledger, asked)
        })?;
        match verb {
            Verb::Begin => begin(session, asked, found),
            Verb::Undo => undo(session, asked, found),
            Verb::Cleanup => cleanup(session, asked, found),
            Verb::UndoCleanup => undo_cleanup(session, asked, found),
        }
    })
}

fn begin(session: &Session, asked: &Asked, mut found: Found) -> Result<()> {
    refuse_other_types(session, asked, &mut found)?;
    match found.phase {
        Phase::New => {
            nothing(asked, &found, "is over already");
            Ok(())
        }
        Phase::Both => {
            Work::on(session, asked, &found)?.complete()?;
            tell_both(asked, &found);
            Ok(())
        }
        Phase::Old => {
            if has_type_already(session, asked, &found)? {
                nothing(asked, &found, "is not needed: the column has that type");
                return Ok(());
            }
            let mut work = Work::on(session, asked, &found)?;
            work.begin()?;
            work.complete()?;
            tell_both(asked, &found);
            Ok(())
        }
    }
}

fn undo(session: &Session, asked: &Asked, found: Found) -> Result<()> {
    match found.phase {
        Phase::Old => {
            refuse_missing(session, asked, &found)?;
            nothing(asked, &found, "has not begun");
            Ok(())
        }
        Phase::New => Err(Failure::new(
            Code::NotInState,
            format!(
                "the change of column \"{}\" of table {} is over: its old form has gone",
                asked.first, found.table.quoted
            ),
            format!(
                "{} brings it back; then call this again",
                asked.call(asked.family.undo_cleanup, &found)
            ),
        )),
        Phase::Both => {
            let mut work = Work::on(session, asked, &found)?;
            work.end(found.source_is_first())?;
            client::notice(format!(
                "column \"{}\" of table {} is as it was before",
                asked.first, found.table.quoted
            ));
            Ok(())
        }
    }
}

fn cleanup(session: &Session, asked: &Asked, found: Found) -> Result<()> {
    match found.phase {
        Phase::New => {
            if found
                .change
                .as_ref()
                .is_some_and(|change| change.pair.is_some())
            {
                Work::on(session, asked, &found)?.end(true)?;
            }
            nothing(asked, &found, "is over already");
            Ok(())
        }
        Phase::Old => {
            refuse_missing(session, asked, &found)?;
            Err(Failure::new(
                Code::NotInState,
                format!(
                    "the change of column \"{}\" of table {} has not begun",
                    asked.first, found.table.quoted
                ),
                match asked.is_type() {
                    true => format!("CALL belay.{}(...) begins it", asked.family.begin),
                    false => format!("{} begins it", asked.call(asked.family.begin, &found)),
                },
            ))
        }
        Phase::Both => {
            let mut work = Work::on(session, asked, &found)?;
            work.end(!found.source_is_first())?;
            client::notice(match asked.is_type() {
                true => format!(
                    "column \"{}\" of table {} has its new type alone",
                    asked.first, found.table.quoted
                ),
                false => format!(
                    "column \"{}\" of table {} is \"{}\" alone",
                    asked.first, found.table.quoted, asked.second
                ),
            });
            Ok(())
        }
    }
}

fn undo_cleanup(session: &Session, asked: &Asked, found: Found) -> Result<()> {
    match found.phase {
        Phase::Old => {
            refuse_missing(session, asked, &found)?;
            nothing(asked, &found, "has not begun");
            Ok(())
        }
        Phase::Both => {
            Work::on(session, asked, &found)?.complete()?;
            nothing(asked, &found, "is not cleaned up: both columns are there");
            Ok(())
        }
        Phase::New => {
            let mut work = Work::on(session, asked, &found)?;
            work.begin_back()?;
            work.complete()?;
            tell_both(asked, &found);
            Ok(())
        }
    }
}

/// 42703 where there is not even the column.
fn refuse_missing(session: &Session, asked: &Asked, found: &Found) -> Result<()> {
    let there = transaction::committed(session.mode, || {
        session.ledger.column_type(found.table.id, &asked.first)
    })?;
    match there {
        Some(_) => Ok(()),
        None => Err(undefined(&asked.first, found)),
    }
}

/// 42703.
fn undefined(column: &str, found: &Found) -> Failure {
    Failure::new(
        Code::UndefinedColumn,
        format!(
            "column \"{column}\" of table {} does not exist",
            found.table.quoted
        ),
        format!(
            "\\d {} lists its columns; SELECT * FROM belay.column_change shows what was changed",
            found.table.quoted
        ),
    )
}

fn has_type_already(session: &Session, asked: &Asked, found: &Found) -> Result<bool> {
    let Some(types) = &asked.types else {
        return Ok(false);
    };
    let now = transaction::committed(session.mode, || {
        session.ledger.column_type(found.table.id, &asked.first)
    })?;
    Ok(now.as_deref() == Some(types.new.as_str()))
}

/// An earlier change of the same column's type that is over makes way; one under way does not.
fn refuse_other_types(session: &Session, asked: &Asked, found: &mut Found) -> Result<()> {
    let (Some(types), Some(change)) = (&asked.types, &found.change) else {
        return Ok(());
    };
    let same = change.types.as_ref().is_some_and(|known| {
        known.new == types.new && known.forth == types.forth && known.back == types.back
    });
    let same_type = change
        .types
        .as_ref()
        .is_some_and(|known| known.new == types.new);
    match (found.phase, same) {
        (_, true) => Ok(()),
        (Phase::New, false) if same_type => Ok(()),
        (Phase::Old | Phase::New, false) if change.pair.is_none() => {
            let id = change.id;
            transaction::committed(session.mode, || session.ledger.forget_column_change(id))?;
            found.change = None;
            found.phase = Phase::Old;
            Ok(())
        }
        _ => Err(Failure::new(
            Code::NotInState,
            format!(
                "column \"{}\" of table {} is being changed in another way",
                asked.first, found.table.quoted
            ),
            format!(
                "{} takes that back; without another type or expression the same call goes on",
                asked.call(asked.family.undo, found)
            ),
        )
        .detail(under_way(change))),
    }
}

fn under_way(change: &ColumnChange) -> String {
    let types = change.types.as_ref();
    let text = |expression: Option<&String>| expression.map_or("a cast".to_owned(), String::clone);
    format!(
        "to {}, using {}, back {}",
        types.map_or("", |types| types.new.as_str()),
        text(types.and_then(|types| types.forth.as_ref())),
        text(types.and_then(|types| types.back.as_ref())),
    )
}

fn nothing(asked: &Asked, found: &Found, why: &str) {
    let what = match asked.is_type() {
        true => format!("the change of the type of column \"{}\"", asked.first),
        false => format!(
            "the rename of column \"{}\" to \"{}\"",
            asked.first, asked.second
        ),
    };
    client::notice(format!(
        "table {}: {what} {why}: nothing to do",
        found.table.quoted
    ));
}

fn tell_both(asked: &Asked, found: &Found) {
    client::notice_with_hint(
        format!(
            "columns \"{}\" and \"{}\" of table {} are kept in step: both can be used",
            asked.first, asked.second, found.table.quoted
        ),
        format!(
            "{} when no code uses the old form any more; {} takes it back",
            asked.call(asked.family.cleanup, found),
            asked.call(asked.family.undo, found)
        ),
    );
}
