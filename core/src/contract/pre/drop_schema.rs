//! A schema that is gone takes everything in it along; nothing else is told of it.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-schema",
    applies: Applies::Pre,
    what: "a schema is dropped or renamed",
    instead: "drop it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    change.tell_removed(Kind::Schema, &[], found);
}
