//! A new unique constraint, primary key or unique index on a table that was there, or one that is otherwise than before.
//!
//! It refuses rows that old code writes. One over the same columns that was there already, as an index or under
//! another name, makes it no news.

use super::{Change, Found};
use crate::contract::change::{is, shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "add-unique",
    applies: Applies::Pre,
    what: "an existing table gets a unique constraint, primary key or unique index",
    instead: "add it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, new) in change.made(Kind::Constraint) {
        let kind = text(new, "kind").unwrap_or_default();
        if ["unique", "primary key"].contains(&kind)
            && change.is_on_protected_table(new)
            && !change.has_unique(new)
        {
            found.add(
                Kind::Constraint,
                object,
                format!("added: {}", shown(new, "definition")),
            );
        }
    }
    for (object, new) in change.made(Kind::Index) {
        if is(new, "unique") && change.is_on_protected_table(new) && !change.has_unique(new) {
            found.add(Kind::Index, object, "unique index added");
        }
    }
}
