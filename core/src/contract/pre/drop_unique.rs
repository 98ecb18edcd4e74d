//! A unique constraint, a primary key, an exclusion constraint or a unique index that is gone: INSERT ... ON CONFLICT of
//! old code needs it, and by ON CONSTRAINT also its name. A unique index passes where another one over the same
//! columns stays.
//!
//! Other constraints that are gone, or have become valid, let old code write what it wrote.

use super::{Change, Found};
use crate::contract::change::{is, text};
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "drop-unique",
    applies: Applies::Pre,
    what: "a unique constraint or index, a primary key or an exclusion constraint is dropped or renamed",
    instead: "drop it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old) in change.removed(Kind::Constraint) {
        let kind = text(old, "kind").unwrap_or_default();
        if UNIQUE.contains(&kind) && change.keeps_columns(old) {
            found.add(
                Kind::Constraint,
                object,
                change.gone(Kind::Constraint, object, old),
            );
        }
    }
    for (object, old) in change.removed(Kind::Index) {
        if is(old, "unique") && change.keeps_columns(old) && !change.keeps_unique(old) {
            found.add(Kind::Index, object, "dropped");
        }
    }
}

const UNIQUE: [&str; 3] = ["primary key", "unique", "exclusion"];
