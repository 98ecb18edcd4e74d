//! What keeps a text from being read as SQL.

/// A text that the lexer refuses. Lines are 1-based; for what is not terminated it is the line where it began.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// A string (`'`, `E'`, `B'`, `X'`, `N'`, `U&'`) has no end.
    #[error("unterminated quoted string")]
    UnterminatedString {
        /// Where it began.
        line: u32,
    },
    /// A quoted identifier has no end.
    #[error("unterminated quoted identifier")]
    UnterminatedIdentifier {
        /// Where it began.
        line: u32,
    },
    /// A dollar-quoted string has no end.
    #[error("unterminated dollar-quoted string, its tag is \"{tag}\"")]
    UnterminatedDollarQuote {
        /// The tag with its dollars.
        tag: String,
        /// Where it began.
        line: u32,
    },
    /// A `/*` comment has no end.
    #[error("unterminated comment")]
    UnterminatedComment {
        /// Where it began.
        line: u32,
    },
    /// A backslash outside quotes, which only psql understands.
    #[error("psql meta-command \"{command}\"")]
    MetaCommand {
        /// The command as it stands there, at most 60 characters of it.
        command: String,
        /// Where it stands.
        line: u32,
    },
    /// A NUL byte, which no SQL text can hold.
    #[error("NUL byte")]
    Nul {
        /// Where it stands.
        line: u32,
    },
}

impl LexError {
    /// The line (1-based) in the text that was read.
    #[must_use]
    pub fn line(&self) -> u32 {
        match self {
            LexError::UnterminatedString { line }
            | LexError::UnterminatedIdentifier { line }
            | LexError::UnterminatedDollarQuote { line, .. }
            | LexError::UnterminatedComment { line }
            | LexError::MetaCommand { line, .. }
            | LexError::Nul { line } => *line,
        }
    }

    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            LexError::UnterminatedString { .. } => {
                "close the string with '; a quote inside a string is written ''".to_owned()
            }
            LexError::UnterminatedIdentifier { .. } => {
                "close the identifier with \"; a double quote inside one is written \"\"".to_owned()
            }
            LexError::UnterminatedDollarQuote { tag, .. } => {
                format!("close the string with {tag}")
            }
            LexError::UnterminatedComment { .. } => {
                "close the comment with */; comments nest".to_owned()
            }
            LexError::MetaCommand { command, .. }
                if command.starts_with("\\.") || command.starts_with("\\N") =>
            {
                "this looks like the data of COPY ... FROM STDIN; write the rows as INSERT (pg_dump --inserts)"
                    .to_owned()
            }
            LexError::MetaCommand { .. } => {
                "migrations run inside the server, which knows no psql commands; write plain SQL"
                    .to_owned()
            }
            LexError::Nul { .. } => "remove the NUL byte; was the text saved as UTF-16?".to_owned(),
        }
    }
}
