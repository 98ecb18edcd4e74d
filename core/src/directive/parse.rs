//! Finding the directives.

use super::Directives;
use super::error::DirectiveError;

/// The head of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) directives: Directives,
    /// Whether the text holds a token at all.
    pub(crate) has_tokens: bool,
}

pub(crate) fn read_head(_sql: &str) -> Result<Head, DirectiveError> {
    Ok(Head::default())
}
