//! The constraints of tables. What is NOT NULL, the column says.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::reader::{Object, Reader, definition, equal};
use super::relations::Relation;
use super::types::validated;
use crate::error::Result;
use crate::pg::row::Field;
use crate::pg::{catalog, class, print};

/// A row of pg_constraint.
pub struct Constraint {
    id: Oid,
    name: String,
    kind: char,
    is_validated: bool,
    parent: Oid,
    index: Oid,
    column: Option<i16>,
}

impl Constraint {
    /// Whether it made that index; a foreign key names the index it refers to as well.
    pub fn has_made(&self, index: Oid) -> bool {
        self.index == index && ['p', 'u', 'x'].contains(&self.kind)
    }

    /// Whether it says that a column is NOT NULL, and rows from before may be NULL (18 and later).
    pub fn is_unproven_not_null(&self, column: i16) -> bool {
        self.kind == 'n' && self.column == Some(column) && !self.is_validated
    }
}

/// Those of a table.
pub fn of(relation: &Relation) -> Result<Vec<Constraint>> {
    let mut found = Vec::new();
    let keys = [equal(c"conrelid", Field::Oid(relation.id))];
    let (catalog, index) = (class::CONSTRAINT, class::CONSTRAINT_BY_RELATION);
    catalog::each(catalog, index, &keys, |row| {
        let columns: Option<Vec<i16>> = row.get(c"conkey")?;
        found.push(Constraint {
            id: row.require(c"oid")?,
            name: row.get_name(c"conname")?.unwrap_or_default(),
            kind: row.letter(c"contype")?,
            is_validated: row.require(c"convalidated")?,
            parent: row.require(c"conparentid")?,
            index: row.require(c"conindid")?,
            column: columns.and_then(|columns| columns.first().copied()),
        });
        Ok(())
    })?;
    Ok(found)
}

/// Puts them in. A foreign key to a partitioned table has rows of its own for each partition of that table: the
/// server's business.
pub fn read(reader: &mut Reader, relation: &Relation, constraints: &[Constraint]) {
    for constraint in constraints {
        let is_row_of_another = constraints.iter().any(|one| one.id == constraint.parent);
        if constraint.kind == 'n' || is_row_of_another {
            continue;
        }
        let printed = print::constraint(constraint.id);
        let printed = printed
            .as_deref()
            .map(|text| match constraint.is_validated {
                true => text,
                false => validated(text),
            });
        let attributes = definition([
            ("kind", kind_word(constraint.kind).into()),
            ("table", relation.name.as_str().into()),
            ("definition", printed.into()),
            ("validated", constraint.is_validated.into()),
        ]);
        let object = Object {
            kind: Kind::Constraint,
            place: (class::CONSTRAINT, constraint.id, 0),
            name: &format!("{}.{}", relation.name, print::quote(&constraint.name)),
            grants: &[],
        };
        reader.add(&object, attributes);
    }
}

fn kind_word(kind: char) -> &'static str {
    match kind {
        'p' => "primary key",
        'u' => "unique",
        'c' => "check",
        'f' => "foreign key",
        'x' => "exclusion",
        _ => "constraint trigger",
    }
}
