//! A column's default, or a domain's, that is gone or another one: rows of old code, which leaves the column out, get
//! something else. A default where there was none passes, and so does a default that an identity replaces.

use super::{Change, Found};
use crate::contract::change::{differing, shown, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "change-default",
    applies: Applies::Pre,
    what: "the default of a column or domain is dropped or changed",
    instead: "change it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for kind in [Kind::Column, Kind::Type] {
        for (object, old, new) in change.altered(kind) {
            let differs = !differing(old, new, &["default"]).is_empty();
            let is_replaced = new.contains_key("identity") || new.contains_key("generated");
            let is_of_base_type = text(old, "kind") == Some("base");
            if differs && old.contains_key("default") && !is_replaced && !is_of_base_type {
                let (old, new) = (shown(old, "default"), shown(new, "default"));
                found.add(kind, object, format!("default was {old}, is {new}"));
            }
        }
    }
}
