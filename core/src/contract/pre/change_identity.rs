//! A column whose value the server makes otherwise than before: an identity or expression that is gone leaves it empty,
//! an expression that has changed makes another value, and GENERATED ALWAYS refuses a value that old code gives.
//! From ALWAYS to BY DEFAULT passes, and BY DEFAULT for a column that had no identity.

use super::{Change, Found};
use crate::contract::change::{differing, shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "change-identity",
    applies: Applies::Pre,
    what: "an identity or a generation expression of a column is dropped, changed, or begins to refuse values",
    instead: "add a column; change the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (column, old, new) in change.altered(Kind::Column) {
        for attribute in differing(old, new, &["identity", "generated"]) {
            if attribute == "identity" && text(new, "identity") == Some("by default") {
                continue;
            }
            let (old, new) = (shown(old, attribute), shown(new, attribute));
            found.add(
                Kind::Column,
                column,
                format!("{attribute} was {old}, is {new}"),
            );
        }
    }
}
