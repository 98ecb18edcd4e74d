//! Policies of row level security.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::reader::{Object, Reader, definition, equal, sorted};
use super::relations::Relation;
use crate::error::Result;
use crate::pg::row::Field;
use crate::pg::{catalog, class, print};

/// Reads them.
pub fn read(reader: &mut Reader, relation: &Relation) -> Result<()> {
    let keys = [equal(c"polrelid", Field::Oid(relation.id))];
    catalog::each(class::POLICY, class::POLICY_BY_RELATION, &keys, |row| {
        let id: Oid = row.require(c"oid")?;
        let own_name = print::quote(&row.get_name(c"polname")?.unwrap_or_default());
        let roles: Vec<Oid> = row.get(c"polroles")?.unwrap_or_default();
        let roles = roles.into_iter().map(|role| match role {
            Oid::INVALID => "PUBLIC".to_owned(),
            role => print::role(role),
        });
        let attributes = definition([
            ("table", relation.name.as_str().into()),
            ("command", command(row.letter(c"polcmd")?).into()),
            ("permissive", row.get::<bool>(c"polpermissive")?.into()),
            ("roles", sorted(roles.collect())),
            (
                "using",
                print::expression(row, c"polqual", relation.id)?.into(),
            ),
            (
                "check",
                print::expression(row, c"polwithcheck", relation.id)?.into(),
            ),
        ]);
        let object = Object {
            kind: Kind::Policy,
            place: (class::POLICY, id, 0),
            name: &format!("{}.{own_name}", relation.name),
            grants: &[],
        };
        reader.add(&object, attributes);
        Ok(())
    })
}

fn command(letter: char) -> &'static str {
    match letter {
        'r' => "SELECT",
        'a' => "INSERT",
        'w' => "UPDATE",
        'd' => "DELETE",
        _ => "ALL",
    }
}
