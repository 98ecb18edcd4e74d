//! From files to migrations: the layouts that are understood without configuration.
//!
//! | files | up | down |
//! |---|---|---|
//! | `NAME.sql` | the whole, or from `-- migrate:up` | from `-- migrate:down` |
//! | `NAME.up.sql`, `NAME.down.sql` | the first | the second |
//! | `NAME/up.sql`, `NAME/down.sql` | the first | the second |
//!
//! What the tools do from whose projects the files come, and what is different here:
//!
//! * dbmate takes files that begin with a digit and end in `.sql`, sorted by file name. A section begins
//!   with a line `-- migrate:up` or `-- migrate:down` (exactly two dashes at the start of the line, any white
//!   space before the word, then the line's end or white space). It wants both sections, up first, and no
//!   statement before them; several pairs of sections in one file run one after the other
//!   (`pkg/dbmate/migration.go`). Here the up marker and the down section may be missing, a second pair is
//!   refused, and a line that looks like a marker within a string or a `$$` body is none.
//! * golang-migrate takes `[0-9]+_NAME.(up|down).EXT` and joins up and down by the number, which it sorts by
//!   value; other files are ignored (`source/parse.go`). Here both files need the same name and `.sql`.
//! * sqlx takes `NUMBER_NAME.sql`, `.up.sql` and `.down.sql`, joins and sorts by the number, ignores files
//!   without `_` or `.sql`, and refuses another file whose beginning is no number (`migrate/source.rs`).
//! * diesel takes each directory that is not hidden and not empty, wants `up.sql` in it, and passes over
//!   files beside the directories. A missing `down.sql` means that the migration cannot be reverted
//!   (`file_based_migrations.rs`).
//!
//! Names need no number here. Hidden files and what does not end in `.sql` are ignored. SQL in a subfolder
//! that is not diesel's is an error: it would be missing without a word.
//!
//! A down that holds nothing but comments counts as no down: tools generate such files, and running one
//! would take the migration off the books without undoing it. `SELECT 1` is a down that does nothing.

mod classify;
mod define;
mod definition;
mod error;
mod metadata;
mod read;
mod rename;
mod sections;

#[cfg(test)]
mod tests;

pub use definition::Definition;
pub use error::{LayoutError, SectionError, TextError};
pub use read::read_files;
pub use rename::renames;

use crate::naming::Naming;

/// A file as the caller read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFile<'a> {
    /// Path relative to the folder of migrations, parts separated by `/` (or `\`).
    pub path: &'a str,
    /// The bytes of the file.
    pub content: &'a [u8],
}

/// The migrations that a set of files holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedSet {
    /// The naming for a project that has none yet: release if all names are in release form, else diesel if
    /// all came from directories `NAME/up.sql`, else natural.
    pub naming_hint: Option<Naming>,
    /// The migrations in the order of `naming_hint`.
    pub migrations: Vec<Definition>,
}
