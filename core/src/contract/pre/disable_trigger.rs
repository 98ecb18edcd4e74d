//! A trigger that fires in other sessions than before. One that was disabled and fires now is like a new one, which
//! passes.

use super::{Change, Found};
use crate::contract::change::{shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "disable-trigger",
    applies: Applies::Pre,
    what: "a trigger is disabled, or fires for replication only",
    instead: "disable it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Trigger) {
        let (before, now) = (text(old, "enabled"), text(new, "enabled"));
        let in_sessions = |enabled| matches!(enabled, Some("origin" | "always"));
        if in_sessions(before) && !in_sessions(now) {
            let (old, new) = (shown(old, "enabled"), shown(new, "enabled"));
            found.add(
                Kind::Trigger,
                object,
                format!("enabled was {old}, is {new}"),
            );
        }
    }
}
