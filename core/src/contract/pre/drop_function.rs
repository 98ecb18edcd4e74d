//! A function, procedure or aggregate that is gone under its name and argument types.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-function",
    applies: Applies::Pre,
    what: "a function is dropped or renamed, or its argument types change",
    instead: "make a function of another name, as in fetch_job_v2; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    change.tell_removed(Kind::Function, &[Kind::Schema], found);
}
