//! A view or materialized view that is gone under its name.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-view",
    applies: Applies::Pre,
    what: "a view is dropped or renamed",
    instead: "make a view of another name; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    change.tell_removed(Kind::View, &[Kind::Schema], found);
}
