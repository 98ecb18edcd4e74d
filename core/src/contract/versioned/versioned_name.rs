//! An object of a kind that carries versions, made under a name that has none.

use super::kinds;
use super::{Change, Found};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};

pub(super) const RULE: Rule = Rule {
    id: "versioned-name",
    applies: Applies::Versioned,
    what: "a function, trigger or type whose kind the project gives versions is made without one",
    instead: "name it with its version, as in fetch_job_v1: belay.versioned_name('fetch_job', 1)",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for kind in kinds(change) {
        for (object, _) in change.added(kind) {
            if !name::has_version(object) {
                found.add(kind, object, "created without a version in its name");
            }
        }
    }
}
