//! A function replaced in place: old code calls it and gets the new body. So it is with every property that decides what
//! a call does or who may do it.
//!
//! `cost`, `rows` and `support` are the planner's, and pass.

use super::{Change, Found};
use crate::contract::change::differing;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "replace-function",
    applies: Applies::Pre,
    what: "a function is replaced in place",
    instead: "make a function of another name, as in fetch_job_v2; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Function) {
        let changed = differing(old, new, &PROPERTIES);
        if !changed.is_empty() {
            let changed = changed.join(", ").replace('_', " ");
            found.add(
                Kind::Function,
                object,
                format!("replaced in place: {changed}"),
            );
        }
    }
}

const PROPERTIES: [&str; 10] = [
    "language",
    "body",
    "aggregate",
    "volatility",
    "strict",
    "security_definer",
    "leakproof",
    "parallel",
    "settings",
    "transforms",
];
