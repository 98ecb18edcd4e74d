//! Unique constraints and unique indexes, which are told by what they are over, whatever their names.

use super::change::{Change, is, text};
use super::name;
use crate::snapshot::{Definition, Kind, Snapshot};

impl Change<'_> {
    /// Whether the table had a constraint of that definition, perhaps under another name.
    pub(super) fn has_constraint(&self, new: &Definition) -> bool {
        let same = |old: &Definition| {
            let attributes = ["table", "kind", "definition"];
            attributes
                .iter()
                .all(|attribute| old.get(*attribute) == new.get(*attribute))
        };
        self.before.of(Kind::Constraint).any(|(_, old)| same(old))
    }

    /// Whether what is unique now was so before, by an index or a constraint.
    pub(super) fn has_unique(&self, new: &Definition) -> bool {
        has_unique(self.before, new)
    }

    /// Whether what was unique still is.
    pub(super) fn keeps_unique(&self, old: &Definition) -> bool {
        has_unique(self.after, old)
    }

    /// Whether the table is there, with all columns that a dropped constraint or index may have named: with a
    /// dropped column it goes by itself.
    pub(super) fn keeps_columns(&self, old: &Definition) -> bool {
        let Some(table) = text(old, "table") else {
            return false;
        };
        let over = text(old, "definition").unwrap_or_default();
        let over = over.split_once(" USING ").map_or(over, |(_, over)| over);
        let mentions = |column: &str| over.split(is_outside_of_names).any(|word| word == column);
        let mut gone = self
            .removed(Kind::Column)
            .filter(|(column, _)| name::parent(column) == Some(table));
        self.after.get(Kind::Table, table).is_some()
            && !gone.any(|(column, _)| mentions(&name::own(column)))
    }
}

fn is_outside_of_names(c: char) -> bool {
    !(c.is_alphanumeric() || c == '_' || c == '$')
}

/// Whether a valid unique index, or a constraint that has one, is over the same.
fn has_unique(snapshot: &Snapshot, wanted: &Definition) -> bool {
    let table = wanted.get("table");
    let over = over(wanted);
    let constraints = snapshot
        .of(Kind::Constraint)
        .filter(|(_, one)| matches!(text(one, "kind"), Some("unique" | "primary key")));
    let indexes = snapshot
        .of(Kind::Index)
        .filter(|(_, one)| is(one, "unique") && is(one, "valid"));
    let mut all = constraints.chain(indexes);
    over.is_some() && all.any(|(_, one)| one.get("table") == table && self::over(one) == over)
}

/// What follows UNIQUE or PRIMARY KEY, or the access method of an index: the columns, INCLUDE, WHERE, and DEFERRABLE.
fn over(definition: &Definition) -> Option<&str> {
    let text = text(definition, "definition")?;
    let unique = text
        .strip_prefix("UNIQUE ")
        .or_else(|| text.strip_prefix("PRIMARY KEY "));
    unique.or_else(|| text.split_once(" USING btree ").map(|(_, over)| over))
}
