//! Rewrite rules, but for those by which the server does views.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::reader::{Object, Reader, definition, equal};
use super::relations::Relation;
use super::triggers::enabled;
use crate::error::Result;
use crate::pg::row::Field;
use crate::pg::{catalog, class, print};

/// Reads them.
pub fn read(reader: &mut Reader, relation: &Relation) -> Result<()> {
    let keys = [equal(c"ev_class", Field::Oid(relation.id))];
    catalog::each(class::RULE, class::RULE_BY_RELATION, &keys, |row| {
        let own_name = row.get_name(c"rulename")?.unwrap_or_default();
        if own_name == "_RETURN" {
            return Ok(());
        }
        let id: Oid = row.require(c"oid")?;
        let attributes = definition([
            ("table", relation.name.as_str().into()),
            ("definition", print::rule(id).into()),
            ("enabled", enabled(row.letter(c"ev_enabled")?).into()),
        ]);
        let object = Object {
            kind: Kind::Rule,
            place: (class::RULE, id, 0),
            name: &format!("{}.{}", relation.name, print::quote(&own_name)),
            grants: &[],
        };
        reader.add(&object, attributes);
        Ok(())
    })
}
