//! A rewrite rule that is new on an existing table or view, gone, replaced or disabled: old statements do something else.

use super::{Change, Found};
use crate::contract::change::text;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "change-rule",
    applies: Applies::Pre,
    what: "a rewrite rule is added to an existing table or view, dropped, replaced or disabled",
    instead: "use a view of another name",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, new) in change.made(Kind::Rule) {
        let on = text(new, "table").unwrap_or_default();
        if change.protects(Kind::Table, on) || change.protects(Kind::View, on) {
            let was_there = change.before.get(Kind::Rule, object).is_some();
            let detail = if was_there { "changed" } else { "added" };
            found.add(Kind::Rule, object, detail);
        }
    }
    change.tell_removed(Kind::Rule, &[Kind::Table, Kind::View], found);
}
