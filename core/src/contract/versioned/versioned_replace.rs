//! An object of a kind that carries versions, replaced under its name; in post also one that pre of the release has made.
//!
//! An enum that gains labels, and a domain that loses a constraint, stay what they are. What a rule of pre says
//! already is not said again.

use super::{Change, Found};
use super::{is_replaced, kinds};
use crate::contract::rule::{Applies, Rule};

pub(super) const RULE: Rule = Rule {
    id: "versioned-replace",
    applies: Applies::Versioned,
    what: "a function, trigger or type whose kind the project gives versions is replaced under its name",
    instead: "make the next version, as in fetch_job_v2, in a pre; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for kind in kinds(change) {
        for (object, old, new) in change.altered(kind) {
            if is_replaced(kind, old, new) && !found.has(kind, object) {
                found.add(kind, object, "replaced under its name");
            }
        }
    }
}
