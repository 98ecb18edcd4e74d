//! A type that is gone under its name. Of the row type of a table, the table speaks.

use super::{Change, Found};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-type",
    applies: Applies::Pre,
    what: "a type is dropped or renamed",
    instead: "make a type of another name; drop the old one in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    change.tell_removed(Kind::Type, &[Kind::Schema], found);
}
