//! A column of a table whose type or collation changes.
//!
//! What PostgreSQL does without a rewrite, because each value stays as it is, passes: see `widening`. From integer
//! to bigint is another binary form to old code, and a rewrite of the table.

use super::{Change, Found};
use crate::contract::change::{differing, shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::contract::widening::widens;
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "change-column-type",
    applies: Applies::Pre,
    what: "the type or collation of a column changes, unless it only widens as varchar(10) to varchar(20) or text",
    instead: "add a column of the new type, keep both in step by a trigger, and drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (column, old, new) in change.altered(Kind::Column) {
        let types = text(old, "type").zip(text(new, "type"));
        let widens = types.is_some_and(|(old, new)| old == new || widens(old, new));
        if text(old, "of") == Some("view") {
            continue;
        }
        if !widens {
            let (old, new) = (shown(old, "type"), shown(new, "type"));
            found.add(Kind::Column, column, format!("type was {old}, is {new}"));
        } else if !differing(old, new, &["collation"]).is_empty() {
            let (old, new) = (shown(old, "collation"), shown(new, "collation"));
            found.add(
                Kind::Column,
                column,
                format!("collation was {old}, is {new}"),
            );
        }
    }
}
