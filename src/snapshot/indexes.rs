//! Indexes, but for those that a constraint made.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::constraints::Constraint;
use super::reader::{Object, Reader, definition, equal};
use super::relations::Relation;
use super::tables;
use crate::error::{Failure, Result};
use crate::pg::row::Field;
use crate::pg::{catalog, class, print};

/// Reads them.
pub fn read(reader: &mut Reader, relation: &Relation, constraints: &[Constraint]) -> Result<()> {
    let keys = [equal(c"indrelid", Field::Oid(relation.id))];
    catalog::each(class::INDEX, class::INDEX_BY_TABLE, &keys, |row| {
        let id: Oid = row.require(c"indexrelid")?;
        if constraints.iter().any(|constraint| constraint.has_made(id)) {
            return Ok(());
        }
        let Some((own_name, is_partition)) = itself(id)? else {
            return Ok(());
        };
        let parent = match is_partition {
            true => tables::parents(id)?.into_iter().next(),
            false => None,
        };
        let attributes = definition([
            ("table", relation.name.as_str().into()),
            ("definition", print::index(id).into()),
            ("unique", row.get::<bool>(c"indisunique")?.into()),
            ("valid", row.get::<bool>(c"indisvalid")?.into()),
            ("partition_of", parent.into()),
        ]);
        let object = Object {
            kind: Kind::Index,
            place: (class::RELATION, id, 0),
            name: &reader.qualified(relation.schema, &own_name),
            grants: &[],
        };
        reader.add(&object, attributes);
        Ok(())
    })
}

/// Its name, and whether it is a part of an index of a partitioned table.
fn itself(id: Oid) -> Result<Option<(String, bool)>> {
    let (catalog, index) = (class::RELATION, class::RELATION_BY_OID);
    catalog::find(catalog, index, 1, id, |row| {
        let name = row.get_name(c"relname")?.unwrap_or_default();
        Ok::<_, Failure>((name, row.require(c"relispartition")?))
    })
    .transpose()
}
