//! A column of a table that is gone under its name. Of a view's columns `replace-view` speaks.
//!
//! The column's constraints, and what else hangs on it, go with it and are not told.

use super::{Change, Found};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-column",
    applies: Applies::Pre,
    what: "a column is dropped or renamed",
    instead: "drop it in post; instead of another name add a column, keep both in step by a trigger, and drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (column, old) in change.removed(Kind::Column) {
        let table = name::parent(column).unwrap_or_default();
        if change.after.get(Kind::Table, table).is_some() {
            found.add(Kind::Column, column, change.gone(Kind::Column, column, old));
        }
    }
}
