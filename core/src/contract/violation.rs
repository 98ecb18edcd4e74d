//! What a migration does against the contract.

use std::fmt;

use crate::snapshot::Kind;

/// One thing that a migration does and its phase may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The rule's id.
    pub rule: &'static str,
    /// What kind of object; `None`: a statement.
    pub kind: Option<Kind>,
    /// Which object.
    pub object: String,
    /// What becomes of it.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation {
            rule,
            object,
            detail,
            ..
        } = self;
        match self.kind {
            // The name of a grant says what it is; that of a statement is its place.
            Some(Kind::Grant) | None => write!(f, "{rule}, {object}: {detail}"),
            Some(kind) => write!(f, "{rule}, {} {object}: {detail}", kind.word()),
        }
    }
}
