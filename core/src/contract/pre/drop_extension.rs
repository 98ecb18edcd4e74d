//! An extension that is gone, or has moved to another schema: its members are not in a snapshot, and go with it.
//!
//! Another version passes: what an update of an extension changes is not looked at.

use super::{Change, Found};
use crate::contract::change::{differing, shown};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-extension",
    applies: Applies::Pre,
    what: "an extension is dropped, or moved to another schema",
    instead: "drop it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    change.tell_removed(Kind::Extension, &[], found);
    for (object, old, new) in change.altered(Kind::Extension) {
        if !differing(old, new, &["schema"]).is_empty() {
            let to = shown(new, "schema");
            found.add(Kind::Extension, object, format!("moved to schema {to}"));
        }
    }
}
