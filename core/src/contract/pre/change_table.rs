//! A table that has become another kind of table, or was attached to or detached from another one.
//!
//! Attached, it takes only rows within its bounds; detached, its rows are missing where old code reads the parent.
//! A new partition is free. What else is said of a table lets old code work: its persistence, options, access
//! method, server, the type that it was made of and replica identity are about how and where rows are kept, and a
//! partition key only with its kind can change.

use super::{Change, Found};
use crate::contract::change::{differing, shown};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "change-table",
    applies: Applies::Pre,
    what: "a table becomes a partition or a child of another one, is detached, or is replaced by another kind of table",
    instead: "attach and detach in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Table) {
        let was = |attribute: &str| {
            let (old, new) = (shown(old, attribute), shown(new, attribute));
            format!("{} was {old}, is {new}", attribute.replace('_', " "))
        };
        let changed: Vec<String> = differing(old, new, &ATTRIBUTES)
            .into_iter()
            .map(was)
            .collect();
        if !changed.is_empty() {
            found.add(Kind::Table, object, changed.join(", "));
        }
    }
}

const ATTRIBUTES: [&str; 4] = ["kind", "partition_of", "partition_bound", "inherits"];
