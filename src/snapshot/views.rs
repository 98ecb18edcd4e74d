//! Views and materialized views.

use belay_core::snapshot::Definition;
use pgrx::pg_sys::Oid;

use super::reader::{definition, equal, sorted};
use super::relations::{self, Relation};
use crate::error::Result;
use crate::pg::row::{Field, Row};
use crate::pg::{catalog, class, compat, print, view};

/// What defines a view.
pub fn definition_of(row: &Row, of: &Relation) -> Result<Definition> {
    let kind = match row.letter(c"relkind")? {
        'v' => "view",
        _ => "materialized view",
    };
    Ok(definition([
        ("kind", kind.into()),
        ("definition", query(of.id)?.into()),
        ("options", sorted(relations::options(row)?)),
        (
            "access_method",
            print::access_method(row.require(c"relam")?).into(),
        ),
    ]))
}

/// Printed as `\d+` prints it: of the server's two forms the one that can be had on every major.
fn query(view: Oid) -> Result<Option<String>> {
    let mut printed = print::view(view);
    if compat::VIEWS_HOLD_OLD_AND_NEW {
        let keys = [equal(c"ev_class", Field::Oid(view))];
        catalog::each(class::RULE, class::RULE_BY_RELATION, &keys, |row| {
            if row.get_name(c"rulename")?.as_deref() == Some("_RETURN") {
                let action: Option<String> = row.get(c"ev_action")?;
                let as_later = action.and_then(|action| view::definition(&action, view));
                printed = as_later.or(printed.take());
            }
            Ok(())
        })?;
    }
    Ok(printed)
}
