//! A column that post adds to a table that was there; a column that is renamed counts as added.

use super::{Change, Found};
use crate::contract::change::text;
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "create-column",
    applies: Applies::Post,
    what: "post adds a column",
    instead: "do it in a pre of this release or of the next one",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (column, new) in change.added(Kind::Column) {
        let table = name::parent(column).unwrap_or_default();
        let was_there = change.before.get(Kind::Table, table).is_some();
        if text(new, "of") != Some("view") && was_there {
            found.add(Kind::Column, column, "created in post");
        }
    }
}
