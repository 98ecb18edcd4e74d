//! Columns that are renamed or given another type while old and new code run.
//!
//! A change keeps two columns in step, the source and its copy: first by a trigger, from the moment in which the copy
//! is there, then row by row by a backfill. What belongs to the source is made for the copy while both are used. A
//! change ends in one short transaction: either the copy goes, or it takes the source's place and the source goes.
//! Whatever was begun is found again by the change's row, so that each verb goes on where the last one stopped.

mod asked;
mod carry;
mod found;
mod obstacles;
mod pair;
mod texts;
mod told;

use self::found::{Found, find};
use self::pair::Work;
use self::told::{nothing, tell_both, under_way};
use super::attempts;
use super::session::Session;
use crate::error::{Code, Failure, Result};
use crate::ledger::column_change::Phase;
use crate::pg::client;
use crate::pg::lock::COLUMNS_CLASS;
use crate::pg::parse;
use crate::pg::portal::Memory;
use crate::pg::transaction;

pub use self::asked::{Asked, Family, RENAME, TYPE, second_column};

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
        if found.has_orphan {
            Work::on(session, asked, &found)?.drop_orphan()?;
        }
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
