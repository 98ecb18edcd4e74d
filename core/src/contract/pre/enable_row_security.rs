//! Row-level security that begins: rows that old code saw or wrote are hidden or refused. Ended, it passes.

use super::{Change, Found};
use crate::contract::change::is;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "enable-row-security",
    applies: Applies::Pre,
    what: "row-level security is enabled on an existing table",
    instead: "enable it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Table) {
        if !is(old, "row_security") && is(new, "row_security") {
            found.add(Kind::Table, object, "row-level security enabled");
        }
    }
}
