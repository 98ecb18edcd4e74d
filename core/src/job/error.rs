//! Why a definition cannot be read.

/// What is wrong with it, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct DefinitionError {
    /// As in `operations[2].batch`.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// The next action.
    pub hint: String,
}
