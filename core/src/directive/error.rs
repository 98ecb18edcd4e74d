//! Directives that cannot be obeyed.

use crate::contract;
use crate::sql::LexError;

/// A directive that breaks a rule. Lines are 1-based, in the text that was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// No directive has this word.
    #[error("unknown directive \"{word}\"")]
    Unknown {
        /// The word as it was given.
        word: String,
        /// Where it stands.
        line: u32,
    },
    /// The rule to be waived does not exist.
    #[error("there is no rule \"{rule}\" to waive")]
    UnknownRule {
        /// The rule as it was given.
        rule: String,
        /// Where it stands.
        line: u32,
    },
    /// The value is not one that the directive takes.
    #[error("directive \"{word}\" cannot be \"{value}\"")]
    BadValue {
        /// The directive.
        word: String,
        /// The value as it was given.
        value: String,
        /// What the directive takes.
        expected: &'static str,
        /// Where it stands.
        line: u32,
    },
    /// The directive stands there twice.
    #[error("directive \"{word}\" is given twice")]
    Repeated {
        /// The directive.
        word: String,
        /// Where it stands the second time.
        line: u32,
    },
    /// The directive stands after the first token.
    #[error("directive \"{word}\" stands after the first statement")]
    NotAtHead {
        /// The directive.
        word: String,
        /// Where it stands.
        line: u32,
    },
    /// The directive says one thing and a marker of another tool the opposite.
    #[error("directive \"{word}\" contradicts \"{marker}\"")]
    Contradiction {
        /// The directive.
        word: String,
        /// The marker as it is written.
        marker: String,
        /// Where the directive stands.
        line: u32,
    },
    /// The directive belongs to the up text, and stands in the down text.
    #[error("directive \"{word}\" stands in the down")]
    NotForDown {
        /// The directive.
        word: String,
        /// Where it stands.
        line: u32,
    },
    /// The text is not SQL.
    #[error(transparent)]
    Sql(#[from] LexError),
}

impl DirectiveError {
    /// The line (1-based) in the text that was read.
    #[must_use]
    pub fn line(&self) -> u32 {
        match self {
            DirectiveError::Unknown { line, .. }
            | DirectiveError::UnknownRule { line, .. }
            | DirectiveError::BadValue { line, .. }
            | DirectiveError::Repeated { line, .. }
            | DirectiveError::NotAtHead { line, .. }
            | DirectiveError::Contradiction { line, .. }
            | DirectiveError::NotForDown { line, .. } => *line,
            DirectiveError::Sql(error) => error.line(),
        }
    }

    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            DirectiveError::Unknown { .. } => {
                "directives are: transaction on|off, requires A, B, pairs-with NAME [indivisible], lock-timeout 2s, lock-retries 3, privileged [on|off], waive RULE REASON"
                    .to_owned()
            }
            DirectiveError::UnknownRule { rule, .. } => match contract::near(rule).as_slice() {
                [one] => format!("is {one} meant?"),
                several => format!("rules are: {}", several.join(", ")),
            },
            DirectiveError::BadValue { expected, .. } => format!("write {expected}"),
            DirectiveError::Repeated { .. } => "keep one of them".to_owned(),
            DirectiveError::NotAtHead { .. } => {
                "move it to the head of the text, before the first statement".to_owned()
            }
            DirectiveError::Contradiction { .. } => "keep the one that is meant".to_owned(),
            DirectiveError::NotForDown { .. } => {
                "move it to the head of the up; a down takes transaction, lock-timeout, lock-retries and privileged".to_owned()
            }
            DirectiveError::Sql(error) => error.hint(),
        }
    }
}
