//! A new foreign key on a table that was there, or one that is otherwise than before.
//!
//! It refuses rows that old code may write, and deleting those that they refer to. One that is NOT VALID counts for
//! new rows all the same.

use super::{Change, Found};
use crate::contract::change::{shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "add-foreign-key",
    applies: Applies::Pre,
    what: "an existing table gets a foreign key",
    instead: "add it in post, NOT VALID at first where the table is large",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, new) in change.made(Kind::Constraint) {
        let kind = text(new, "kind").unwrap_or_default();
        if kind == "foreign key" && change.is_on_protected_table(new) && !change.has_constraint(new)
        {
            found.add(
                Kind::Constraint,
                object,
                format!("added: {}", shown(new, "definition")),
            );
        }
    }
}
