//! A sequence that gives other values: by another increment, in a cycle, or up to nearer bounds. Likewise that of an
//! identity column.
//!
//! Where it starts, how many values a session takes at once, its type (its bounds tell what of it matters),
//! persistence and owner let old code work.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use serde_json::Value;

use crate::contract::change::{differing, shown};
use crate::snapshot::{Definition, Kind};

pub(super) const RULE: Rule = Rule {
    id: "change-sequence",
    applies: Applies::Pre,
    what: "a sequence gets another increment or cycle, or nearer bounds",
    instead: "make another sequence, or change it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Sequence) {
        tell(Kind::Sequence, object, old, new, found);
    }
    for (column, old, new) in change.altered(Kind::Column) {
        let options = |column: &Definition| match column.get("identity_options") {
            Some(Value::Object(options)) => options.clone(),
            _ => Definition::new(),
        };
        if old.contains_key("identity") && new.contains_key("identity") {
            tell(Kind::Column, column, &options(old), &options(new), found);
        }
    }
}

fn tell(kind: Kind, object: &str, old: &Definition, new: &Definition, found: &mut Found) {
    let bound = |options: &Definition, name: &str| options.get(name).and_then(Value::as_i64);
    for attribute in differing(old, new, &["increment", "cycle", "minimum", "maximum"]) {
        let (before, now) = (bound(old, attribute), bound(new, attribute));
        let farther = match attribute {
            // Of an identity that says nothing, the bounds are as far as its type goes.
            "minimum" => now.is_none() || before.is_some_and(|before| now <= Some(before)),
            "maximum" => now.is_none() || before.is_some_and(|before| now >= Some(before)),
            _ => false,
        };
        if !farther {
            let (old, new) = (shown(old, attribute), shown(new, attribute));
            found.add(kind, object, format!("{attribute} was {old}, is {new}"));
        }
    }
}
