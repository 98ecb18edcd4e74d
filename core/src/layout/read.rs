//! Reading a set of files, or one text.

use super::definition::Definition;
use super::error::LayoutError;
use super::{LoadedSet, SourceFile};

/// Reads a set of files.
///
/// # Errors
///
/// [`LayoutError`].
pub fn read_files(files: &[SourceFile<'_>]) -> Result<LoadedSet, LayoutError> {
    Err(LayoutError::NoMigrations { files: files.len() })
}

pub(super) fn from_text(
    name: &str,
    up: &str,
    down: Option<&str>,
) -> Result<Definition, LayoutError> {
    Ok(Definition {
        name: name.to_owned(),
        up: up.to_owned(),
        down: down.map(str::to_owned),
        up_path: None,
        down_path: None,
        up_first_line: 1,
        down_first_line: 1,
        directives: crate::directive::Directives::default(),
        down_transaction: None,
        down_lock_timeout_ms: None,
    })
}
