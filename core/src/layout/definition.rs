//! One migration as text.

use super::define::{Source, define};
use super::error::LayoutError;
use crate::directive::Directives;

/// A migration as its files or its registration define it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The name.
    pub name: String,
    /// The up text, without a byte order mark and with pg_dump's `\restrict` lines blanked, else as it was given.
    pub up: String,
    /// The down text; `None` where there is none or where it holds nothing but comments.
    pub down: Option<String>,
    /// The file that the up text came from.
    pub up_path: Option<String>,
    /// The file that the down text came from.
    pub down_path: Option<String>,
    /// The line (1-based) of its file on which the up text begins.
    pub up_first_line: u32,
    /// The line (1-based) of its file on which the down text begins; 1 without a down.
    pub down_first_line: u32,
    /// What the head of the up text asks for.
    pub directives: Directives,
    /// Whether the down runs in a transaction, where the down's head or the file's head says so.
    pub down_transaction: Option<bool>,
    /// The down's lock timeout in milliseconds, where the down's head or the file's head says so.
    pub down_lock_timeout_ms: Option<u32>,
    /// How often the down is tried again for its locks, where the down's head or the file's head says so.
    pub down_lock_retries: Option<u32>,
    /// Whether the down is privileged, where the down's head or the file's head says so.
    pub down_privileged: Option<bool>,
}

impl Definition {
    /// A migration that is registered as text.
    ///
    /// Section markers count as in a file: an up that holds `-- migrate:down` is cut there.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Name`] and [`LayoutError::Text`], without a path.
    pub fn from_text(name: &str, up: &str, down: Option<&str>) -> Result<Definition, LayoutError> {
        let source = |text: &str| Source {
            text: text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            path: None,
        };
        define(name, &source(up), down.map(source).as_ref(), None)
    }
}
