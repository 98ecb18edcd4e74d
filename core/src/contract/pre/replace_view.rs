//! A view that selects something else, or has lost a column.
//!
//! Columns added at the end alone pass: the query is the same but for more at the end of its list. A function call
//! among them does not, since one may return sets, nor does DISTINCT. A view that is not what it was in kind or
//! options (who may see what: security_invoker, security_barrier, check_option) does not pass either.

use super::{Change, Found};
use crate::contract::change::{differing, shown, text};
use crate::contract::name;
use crate::contract::rule::{Applies, Rule};
use crate::contract::select_list::adds_columns;
use crate::snapshot::{Definition, Kind};

pub(super) const RULE: Rule = Rule {
    id: "replace-view",
    applies: Applies::Pre,
    what: "a view selects something else, changes in kind or options, or loses a column",
    instead: "make a view of another name, as in orders_v2; columns may be added at the end",
    judge,
};

fn judge(change: &Change<'_>, found: &mut Found) {
    for (object, old, new) in change.altered(Kind::View) {
        for attribute in differing(old, new, &["kind", "definition", "options"]) {
            if attribute != "definition" || !only_adds_columns(old, new) {
                found.add(Kind::View, object, format!("{attribute} changed"));
            }
        }
    }
    for (column, old) in change.removed(Kind::Column) {
        let view = name::parent(column).unwrap_or_default();
        if text(old, "of") == Some("view") && change.after.get(Kind::View, view).is_some() {
            found.add(
                Kind::View,
                view,
                format!("column {} is gone", name::own(column)),
            );
        }
    }
    for (column, old, new) in change.altered(Kind::Column) {
        let view = name::parent(column).unwrap_or_default();
        let differs = !differing(old, new, &["type", "collation"]).is_empty();
        if text(old, "of") == Some("view") && differs {
            let (own, old, new) = (name::own(column), shown(old, "type"), shown(new, "type"));
            found.add(
                Kind::View,
                view,
                format!("column {own} was {old}, is {new}"),
            );
        }
    }
}

fn only_adds_columns(old: &Definition, new: &Definition) -> bool {
    match (text(old, "definition"), text(new, "definition")) {
        (Some(old), Some(new)) => adds_columns(old, new),
        _ => false,
    }
}
