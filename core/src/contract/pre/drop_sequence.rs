//! A sequence that is gone under its name. That of a serial column goes with the column or table that owns it.

use super::{Change, Found};
use crate::contract::change::text;
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-sequence",
    applies: Applies::Pre,
    what: "a sequence is dropped or renamed",
    instead: "drop it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old) in change.removed(Kind::Sequence) {
        let schema = name::parent(object).unwrap_or_default();
        let owner = text(old, "owned_by");
        let owner_stays =
            owner.is_none_or(|column| change.after.get(Kind::Column, column).is_some());
        if owner_stays && change.after.get(Kind::Schema, schema).is_some() {
            found.add(
                Kind::Sequence,
                object,
                change.gone(Kind::Sequence, object, old),
            );
        }
    }
}
