//! A table that is gone under its name, with its columns, constraints and all that hangs on it.
//!
//! A view that takes its name is no table: whether old code can live with it, the rule cannot know.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-table",
    applies: Applies::Pre,
    what: "a table is dropped or renamed",
    instead: "drop it in post; instead of a new name make a table or view of that name",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    change.tell_removed(Kind::Table, &[Kind::Schema], found);
}
