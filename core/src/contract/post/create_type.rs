//! A type that post makes.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "create-type",
    applies: Applies::Post,
    what: "post makes a type",
    instead: "do it in a pre of this release or of the next one",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, _) in change.added(Kind::Type) {
        found.add(Kind::Type, object, "created in post");
    }
}
