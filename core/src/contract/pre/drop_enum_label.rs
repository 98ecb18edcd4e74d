//! A label of an enum that is gone: renamed, or left out when the type was made anew. A new label passes.

use super::{Change, Found};
use crate::contract::change::labels;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-enum-label",
    applies: Applies::Pre,
    what: "a label of an enum is dropped or renamed",
    instead: "add a label and leave the old one; it does no harm",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Type) {
        let (before, now) = (labels(old), labels(new));
        for gone in before.iter().filter(|label| !now.contains(*label)) {
            let mut came = now.iter().filter(|label| !before.contains(*label));
            let detail = match (came.next(), came.next()) {
                (Some(label), None) if before.len() == now.len() => {
                    format!("label '{gone}' dropped or renamed, perhaps to '{label}'")
                }
                _ => format!("label '{gone}' dropped or renamed"),
            };
            found.add(Kind::Type, object, detail);
        }
    }
}
