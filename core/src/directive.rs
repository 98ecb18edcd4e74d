//! Directives: what a migration's text says about itself, in comments at its head.

mod error;
mod parse;
mod value;

#[cfg(test)]
mod tests;

pub use error::DirectiveError;
pub(crate) use parse::{Head, read_head};

/// The other half of a migration, `-- belay: pairs-with NAME [indivisible]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The partner's name.
    pub name: String,
    /// Whether one half must never be reverted without the other.
    pub indivisible: bool,
}

/// What the head of a text asks for; what it does not mention is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// `transaction on|off`, or the marker of the tool that the file comes from.
    pub transaction: Option<bool>,
    /// `requires A, B`: names of the migrations that must be applied before.
    pub requires: Vec<String>,
    /// `pairs-with NAME [indivisible]`.
    pub pairs_with: Option<Pair>,
    /// `lock-timeout 2s`, in milliseconds; 0 = no timeout.
    pub lock_timeout_ms: Option<u32>,
}

/// Reads the directives of a text, and reads the text to its end.
///
/// # Errors
///
/// [`DirectiveError`] with the line (1-based): an unknown directive, a bad value, one given twice, one that
/// stands after the first token; [`DirectiveError::Sql`] where the text is not SQL.
pub fn directives(sql: &str) -> Result<Directives, DirectiveError> {
    read_head(sql).map(|head| head.directives)
}
