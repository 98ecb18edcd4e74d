//! A function whose call means something else: its result, the names, modes or defaults of its arguments, whether it is a
//! function or a procedure.

use super::{Change, Found};
use crate::contract::change::differing;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "change-function",
    applies: Applies::Pre,
    what: "the result, the arguments or their defaults of a function change",
    instead: "make a function of another name, as in fetch_job_v2; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Function) {
        let changed = differing(old, new, &["kind", "arguments", "result"]);
        if !changed.is_empty() {
            found.add(
                Kind::Function,
                object,
                format!("{} changed", changed.join(", ")),
            );
        }
    }
}
