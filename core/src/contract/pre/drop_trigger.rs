//! A trigger that is gone under its name, from a table that is still there: what it did for old code is not done.

use super::{Change, Found};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-trigger",
    applies: Applies::Pre,
    what: "a trigger is dropped or renamed",
    instead: "drop it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, _) in change.removed(Kind::Trigger) {
        let on = name::parent(object).unwrap_or_default();
        let stays = |kind| change.after.get(kind, on).is_some();
        if stays(Kind::Table) || stays(Kind::View) {
            found.add(Kind::Trigger, object, "dropped or renamed");
        }
    }
}
