//! Tables, views and sequences, and what belongs to tables and views.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::reader::{Object, Reader, users};
use super::{columns, constraints, indexes, policies, rules, sequences, tables, triggers, views};
use crate::error::Result;
use crate::pg::acl;
use crate::pg::row::Row;
use crate::pg::{catalog, class};

/// A table or a view.
pub struct Relation {
    pub id: Oid,
    pub owner: Oid,
    /// Of its schema.
    pub schema: Oid,
    /// Qualified and quoted.
    pub name: String,
    pub is_view: bool,
}

/// Reads them all.
pub fn read(reader: &mut Reader) -> Result<()> {
    let mut relations = Vec::new();
    let (catalog, index) = (class::RELATION, class::RELATION_BY_OID);
    catalog::each(catalog, index, &[users(c"oid")], |row| {
        let kind = match row.letter(c"relkind")? {
            'r' | 'p' | 'f' => Kind::Table,
            'v' | 'm' => Kind::View,
            'S' => Kind::Sequence,
            _ => return Ok(()),
        };
        let relation = Relation {
            id: row.require(c"oid")?,
            owner: row.require(c"relowner")?,
            schema: row.require(c"relnamespace")?,
            name: String::new(),
            is_view: kind == Kind::View,
        };
        if !reader.counts(relation.schema, class::RELATION, relation.id) {
            return Ok(());
        }
        let own_name = row.get_name(c"relname")?.unwrap_or_default();
        let name = reader.qualified(relation.schema, &own_name);
        let relation = Relation { name, ..relation };
        let attributes = match kind {
            Kind::Table => tables::definition_of(row, &relation)?,
            Kind::View => views::definition_of(row, &relation)?,
            _ => match sequences::definition_of(reader, row, relation.id)? {
                Some(attributes) => attributes,
                None => return Ok(()),
            },
        };
        let object = Object {
            kind,
            place: (class::RELATION, relation.id, 0),
            name: &relation.name,
            grants: &acl::grants(row, c"relacl", relation.owner)?.unwrap_or_default(),
        };
        reader.add(&object, attributes);
        if kind != Kind::Sequence {
            relations.push(relation);
        }
        Ok(())
    })?;
    relations
        .iter()
        .try_for_each(|relation| read_parts(reader, relation))
}

fn read_parts(reader: &mut Reader, relation: &Relation) -> Result<()> {
    let constraints = constraints::of(relation)?;
    columns::read(reader, relation, &constraints)?;
    constraints::read(reader, relation, &constraints);
    indexes::read(reader, relation, &constraints)?;
    triggers::read(reader, relation)?;
    rules::read(reader, relation)?;
    policies::read(reader, relation)
}

/// The options of a relation, as `name=value`.
pub fn options(row: &Row) -> Result<Vec<String>> {
    Ok(row.get(c"reloptions")?.unwrap_or_default())
}
