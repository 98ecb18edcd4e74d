//! A right that is gone, or may not be passed on any more, on an object that is still there: taken away, or lost when
//! the object was made anew; also what PUBLIC has by default. One that its holder has otherwise, through PUBLIC or on
//! the whole table, passes. Rights through membership in roles are not looked at.

use super::{Change, Found};
use crate::contract::change::{is, text};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::{Definition, Kind};

pub(super) const RULE: Rule = Rule {
    id: "revoke",
    applies: Applies::Pre,
    what: "a privilege on an existing object is revoked",
    instead: "revoke in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (grant, old) in change.removed(Kind::Grant) {
        let object = text(old, "object").unwrap_or_default();
        let stays = |kind: Kind| change.after.get(kind, object).is_some();
        if OBJECTS.into_iter().any(stays) && !is_held_otherwise(change, old) {
            found.add(Kind::Grant, grant, "revoked");
        }
    }
    for (grant, old, new) in change.altered(Kind::Grant) {
        if is(old, "grantable") && !is(new, "grantable") {
            found.add(Kind::Grant, grant, "its grant option revoked");
        }
    }
}

const OBJECTS: [Kind; 8] = [
    Kind::Table,
    Kind::View,
    Kind::Column,
    Kind::Function,
    Kind::Sequence,
    Kind::Type,
    Kind::Schema,
    Kind::Extension,
];

/// Whether the grantee has the right through PUBLIC, or on the column's whole table.
fn is_held_otherwise(change: &Change<'_>, lost: &Definition) -> bool {
    let object = text(lost, "object").unwrap_or_default();
    let whole = match text(lost, "object_kind") {
        Some("column") => name::parent(object),
        _ => None,
    };
    change.after.of(Kind::Grant).any(|(_, held)| {
        let on = text(held, "object");
        let to = text(held, "grantee");
        text(held, "privilege") == text(lost, "privilege")
            && (on == Some(object) || (on.is_some() && on == whole))
            && (to == text(lost, "grantee")
                || to.is_some_and(|to| to.eq_ignore_ascii_case("public")))
    })
}
