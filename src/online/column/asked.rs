//! What a verb is asked for.

use pgrx::pg_sys::Oid;

use super::found::Found;
use crate::ledger::column_change::Types;

/// The names of the four verbs of a family, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// `rename_column_concurrently`
    pub begin: &'static str,
    /// `undo_rename_column_concurrently`
    pub undo: &'static str,
    /// `cleanup_concurrent_column_rename`
    pub cleanup: &'static str,
    /// `undo_cleanup_concurrent_column_rename`
    pub undo_cleanup: &'static str,
}

/// Renames.
pub const RENAME: Family = Family {
    begin: "rename_column_concurrently",
    undo: "undo_rename_column_concurrently",
    cleanup: "cleanup_concurrent_column_rename",
    undo_cleanup: "undo_cleanup_concurrent_column_rename",
};

/// Changes of types.
pub const TYPE: Family = Family {
    begin: "change_column_type_concurrently",
    undo: "undo_change_column_type_concurrently",
    cleanup: "cleanup_concurrent_column_type_change",
    undo_cleanup: "undo_cleanup_concurrent_column_type_change",
};

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The table.
    pub table: Oid,
    /// The column's name in phase old.
    pub first: String,
    /// Its name in phase new; of a type change the second column's.
    pub second: String,
    /// The family.
    pub family: Family,
    /// What a type change begins with: the new type and the expressions; `None` otherwise.
    pub types: Option<Types>,
}

impl Asked {
    /// Whether it is about a type.
    pub fn is_type(&self) -> bool {
        self.family.begin == TYPE.begin
    }

    /// The call of a verb with the same columns, for hints.
    pub fn call(&self, verb: &str, found: &Found) -> String {
        let quote = pgrx::spi::quote_literal::<&str>;
        let (table, first) = (quote(&found.table.quoted), quote(&self.first));
        match self.is_type() {
            true => format!("CALL belay.{verb}({table}, {first})"),
            false => format!(
                "CALL belay.{verb}({table}, {first}, {})",
                quote(&self.second)
            ),
        }
    }
}

/// The name of the second column of a type change.
pub fn second_column(column: &str) -> String {
    const SUFFIX: &str = "_for_type_change";
    let mut end = column.len().min(63 - SUFFIX.len());
    while !column.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SUFFIX}", &column[..end])
}
