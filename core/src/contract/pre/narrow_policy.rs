//! Fewer rows by policy: a restrictive one added, a permissive one dropped, or one that has changed; whether a changed one
//! lets more or fewer rows pass is not proven. Only while row-level security is on: before and after.

use super::{Change, Found};
use crate::contract::change::{is, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::{Definition, Kind, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "narrow-policy",
    applies: Applies::Pre,
    what: "a policy is changed, a restrictive one added or a permissive one dropped, where row-level security is on",
    instead: "add a permissive policy; narrow in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    let is_secured = |policy: &Definition| {
        let table = text(policy, "table").unwrap_or_default();
        let on = |snapshot: &Snapshot| {
            snapshot
                .get(Kind::Table, table)
                .is_some_and(|table| is(table, "row_security"))
        };
        change.protects(Kind::Table, table) && on(change.before) && on(change.after)
    };
    for (object, new) in change.made(Kind::Policy).filter(|(_, new)| is_secured(new)) {
        if change.before.get(Kind::Policy, object).is_some() {
            if change.protects(Kind::Policy, object) {
                found.add(Kind::Policy, object, "changed");
            }
        } else if !is(new, "permissive") {
            found.add(Kind::Policy, object, "added, restrictive");
        }
    }
    for (object, old) in change
        .removed(Kind::Policy)
        .filter(|(_, old)| is_secured(old))
    {
        if is(old, "permissive") {
            found.add(Kind::Policy, object, "dropped or renamed, permissive");
        }
    }
}
