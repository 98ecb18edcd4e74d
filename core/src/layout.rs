//! From files to migrations: the layouts that are understood without configuration.

mod classify;
mod definition;
mod error;
mod metadata;
mod read;
mod sections;

#[cfg(test)]
mod tests;

pub use definition::Definition;
pub use error::{LayoutError, SectionError, TextError};
pub use read::read_files;

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
