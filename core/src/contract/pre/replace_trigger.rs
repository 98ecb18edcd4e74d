//! A trigger replaced in place: another event, condition or function.
//!
//! A new trigger on an existing table passes: it is how two columns are kept in step while both releases run. What
//! it does to rows is not looked at.

use super::{Change, Found};
use crate::contract::change::differing;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "replace-trigger",
    applies: Applies::Pre,
    what: "a trigger is replaced in place",
    instead: "make a trigger of another name beside it; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Trigger) {
        if !differing(old, new, &["definition", "function"]).is_empty() {
            found.add(Kind::Trigger, object, "replaced in place");
        }
    }
}
