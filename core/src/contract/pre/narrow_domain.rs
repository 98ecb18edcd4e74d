//! A domain that takes fewer values: NOT NULL, a new constraint, or one that has changed. One that is gone passes.

use super::{Change, Found};
use crate::contract::change::{is, shown, text};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::snapshot::Kind;

pub(super) const RULE: Rule = Rule {
    id: "narrow-domain",
    applies: Applies::Pre,
    what: "a domain becomes NOT NULL, or gets or changes a constraint",
    instead: "narrow it in post",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::Type) {
        let is_domain = text(new, "kind") == Some("domain");
        if is_domain && !is(old, "not_null") && is(new, "not_null") {
            found.add(Kind::Type, object, "became NOT NULL");
        }
    }
    for (object, new) in change.made(Kind::DomainConstraint) {
        let old = change.before.get(Kind::DomainConstraint, object);
        let same = old.is_some_and(|old| old.get("definition") == new.get("definition"));
        let domain = name::parent(object).unwrap_or_default();
        if !same && change.protects(Kind::Type, domain) {
            let detail = format!("added: {}", shown(new, "definition"));
            found.add(Kind::DomainConstraint, object, detail);
        }
    }
}
