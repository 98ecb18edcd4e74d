//! A column that becomes NOT NULL: old code may still leave it empty. Also without a scan of the table (NOT VALID,
//! from 18 on), which counts for new rows all the same.

use super::{Change, Found};
use crate::contract::change::is;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "require-column",
    applies: Applies::Pre,
    what: "a column becomes NOT NULL",
    instead: "fill the column and SET NOT NULL in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (column, old, new) in change.altered(Kind::Column) {
        if !is(old, "not_null") && is(new, "not_null") {
            found.add(Kind::Column, column, "became NOT NULL");
        }
    }
}
