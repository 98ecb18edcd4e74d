//! A new exclusion constraint on a table that was there, or one that is otherwise than before.
//!
//! It refuses rows that old code may write.

use super::{Change, Found};
use crate::contract::change::{shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "add-exclusion",
    applies: Applies::Pre,
    what: "an existing table gets an exclusion constraint",
    instead: "add it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, new) in change.made(Kind::Constraint) {
        let kind = text(new, "kind").unwrap_or_default();
        if kind == "exclusion" && change.is_on_protected_table(new) && !change.has_constraint(new) {
            found.add(
                Kind::Constraint,
                object,
                format!("added: {}", shown(new, "definition")),
            );
        }
    }
}
