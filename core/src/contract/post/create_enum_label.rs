//! A label that post adds to an enum; one that is renamed counts as added.

use super::{Change, Found};
use crate::contract::change::labels;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "create-enum-label",
    applies: Applies::Post,
    what: "post adds a label to an enum",
    instead: "do it in a pre of this release or of the next one",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Type) {
        let before = labels(old);
        for label in labels(new).iter().filter(|label| !before.contains(*label)) {
            found.add(
                Kind::Type,
                object,
                format!("label '{label}' created in post"),
            );
        }
    }
}
