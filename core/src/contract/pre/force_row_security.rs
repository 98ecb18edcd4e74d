//! Row-level security that begins to hold for the table's owner, too, whom old code may be connected as.

use super::{Change, Found};
use crate::contract::change::is;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "force-row-security",
    applies: Applies::Pre,
    what: "row-level security is forced upon the owner of an existing table",
    instead: "force it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Table) {
        if !is(old, "force_row_security") && is(new, "force_row_security") {
            found.add(
                Kind::Table,
                object,
                "row-level security forced upon its owner",
            );
        }
    }
}
