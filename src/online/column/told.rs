//! What a verb tells the client.

use super::asked::Asked;
use super::found::Found;
use crate::ledger::column_change::ColumnChange;
use crate::pg::client;

/// How a change of a type was begun.
pub fn under_way(change: &ColumnChange) -> String {
    let types = change.types.as_ref();
    let text = |expression: Option<&String>| expression.map_or("a cast".to_owned(), String::clone);
    format!(
        "to {}, using {}, back {}",
        types.map_or("", |types| types.new.as_str()),
        text(types.and_then(|types| types.forth.as_ref())),
        text(types.and_then(|types| types.back.as_ref())),
    )
}

/// Nothing is to be done, and why.
pub fn nothing(asked: &Asked, found: &Found, why: &str) {
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

/// Both columns are there, and what comes next.
pub fn tell_both(asked: &Asked, found: &Found) {
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
