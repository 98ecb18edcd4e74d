//! A table that post makes: code of the release, which runs already, cannot need it. A partition of a table that was there is
//! no news to code, and passes.

use super::{Change, Found};
use crate::contract::change::text;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "create-table",
    applies: Applies::Post,
    what: "post makes a table",
    instead: "do it in a pre of this release or of the next one",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (table, new) in change.added(Kind::Table) {
        let parent = text(new, "partition_of");
        if parent.is_none_or(|parent| change.before.get(Kind::Table, parent).is_none()) {
            found.add(Kind::Table, table, "created in post");
        }
    }
}
