//! A new column of an existing table that an INSERT of old code does not fill: NOT NULL, by itself or by its domain,
//! and without a default, an identity or an expression.

use super::{Change, Found};
use crate::contract::change::{is, text};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "add-required-column",
    applies: Applies::Pre,
    what: "a new column of an existing table is NOT NULL without a default",
    instead: "give it a default, or SET NOT NULL in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (column, new) in change.added(Kind::Column) {
        let table = name::parent(column).unwrap_or_default();
        if !change.protects(Kind::Table, table) {
            continue;
        }
        let domain = text(new, "type").and_then(|name| change.after.get(Kind::Type, name));
        let has = |attribute: &str| new.contains_key(attribute);
        let filled = has("default")
            || has("identity")
            || has("generated")
            || domain.is_some_and(|domain| domain.contains_key("default"));
        let required = is(new, "not_null") || domain.is_some_and(|domain| is(domain, "not_null"));
        if required && !filled {
            found.add(Kind::Column, column, "added, NOT NULL without a default");
        }
    }
}
