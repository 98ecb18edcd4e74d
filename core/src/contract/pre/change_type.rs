//! A type that is made of something else: another kind of type, the base type or collation of a domain, the attributes of
//! a composite type, what a range or base type is built on, or enum labels in another order.
//!
//! A composite type that only gains an attribute breaks old code, too, which writes its rows with fewer.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use serde_json::Value;

use crate::contract::change::{differing, labels, text};
use crate::snapshot::{Definition, Kind};

pub(super) const RULE: Rule = Rule {
    id: "change-type",
    applies: Applies::Pre,
    what: "a type changes in what it is made of",
    instead: "make a type of another name; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Type) {
        let what = match (text(old, "kind"), text(new, "kind")) {
            (before, now) if before != now => Some("another kind of type"),
            (Some("enum"), _) => reordered(old, new).then_some("labels in another order"),
            (Some("domain"), _) => {
                let changed = !differing(old, new, &["type", "collation"]).is_empty();
                changed.then_some("another base type or collation")
            }
            (Some("composite"), _) => {
                (attributes(old) != attributes(new)).then_some("attributes changed")
            }
            _ => Some("made otherwise"),
        };
        if let Some(what) = what {
            found.add(Kind::Type, object, what);
        }
    }
}

/// Whether the labels that stay have changed places.
fn reordered(old: &Definition, new: &Definition) -> bool {
    let (before, now) = (labels(old), labels(new));
    let stay = before.iter().filter(|label| now.contains(*label));
    !stay.eq(now.iter().filter(|label| before.contains(*label)))
}

/// Name, type and collation of each attribute; the comment does not count.
fn attributes(definition: &Definition) -> Vec<[Option<&Value>; 3]> {
    let attributes = definition.get("attributes").and_then(Value::as_array);
    let keys = ["name", "type", "collation"];
    attributes
        .into_iter()
        .flatten()
        .map(|one| keys.map(|key| one.get(key).filter(|value| !value.is_null())))
        .collect()
}
