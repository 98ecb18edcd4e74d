//! What can go wrong: Belay's own errors (SQLSTATE class MG, or a standard code where one
//! fits) and the server's, both as values until [`raise`] hands them to the client.

mod code;

use std::fmt;

use crate::pg;

pub use code::Code;

/// The result of everything below `api/`.
pub type Result<T> = std::result::Result<T, Failure>;

/// An error on its way to the client.
#[derive(Debug)]
pub enum Failure {
    /// Belay's own.
    Own(Box<OwnError>),
    /// The server's, with all its fields.
    Server(Box<ServerError>),
}

/// An error of Belay's: every one has a hint.
#[derive(Debug)]
pub struct OwnError {
    /// Which.
    pub code: Code,
    /// Lower case, objects in quotes, no period.
    pub message: String,
    /// Facts, one a line.
    pub detail: Option<String>,
    /// Facts for the caller alone: the history does not keep them, since more roles may read it
    /// than the SQL texts.
    pub unkept: Option<String>,
    /// The next action, as a command where there is one.
    pub hint: String,
    /// Where it happened.
    pub context: Option<String>,
    /// The line of the text that was read, from 1.
    pub line: Option<i32>,
}

/// An error of the server, field by field (elog.h, `ErrorData`).
#[derive(Debug, Default, Clone)]
#[allow(missing_docs)]
pub struct ServerError {
    pub sqlerrcode: i32,
    pub message: String,
    pub detail: Option<String>,
    pub detail_log: Option<String>,
    pub hint: Option<String>,
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub datatype: Option<String>,
    pub constraint: Option<String>,
    pub cursor_position: i32,
    pub internal_position: i32,
    pub internal_query: Option<String>,
}

impl ServerError {
    /// The five characters of the SQLSTATE.
    pub fn sqlstate(&self) -> String {
        code::unpack(self.sqlerrcode)
    }
}

impl Failure {
    /// An error of Belay's own.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::Own(Box::new(OwnError {
            code,
            message: message.into(),
            detail: None,
            unkept: None,
            hint: hint.into(),
            context: None,
            line: None,
        }))
    }

    /// Says at which line of the text (from 1) an error of Belay's own happened.
    pub fn at_line(mut self, line: usize) -> Failure {
        if let Failure::Own(error) = &mut self {
            error.line = i32::try_from(line).ok();
        }
        self
    }

    /// The line of the text, where an error of Belay's own has one.
    pub fn line(&self) -> Option<i32> {
        match self {
            Failure::Own(error) => error.line,
            Failure::Server(_) => None,
        }
    }

    /// Adds facts to an error of Belay's own.
    pub fn detail(mut self, detail: impl Into<String>) -> Failure {
        if let Failure::Own(error) = &mut self {
            error.detail = Some(detail.into());
        }
        self
    }

    /// Adds facts to the DETAIL that the client reads; the history does not keep them.
    pub fn unkept(mut self, detail: impl Into<String>) -> Failure {
        if let Failure::Own(error) = &mut self {
            error.unkept = Some(detail.into());
        }
        self
    }

    /// The five characters of the SQLSTATE.
    pub fn sqlstate(&self) -> String {
        match self {
            Failure::Own(error) => error.code.sqlstate().to_owned(),
            Failure::Server(error) => error.sqlstate(),
        }
    }

    /// The error as the server raises it.
    pub fn into_server(self) -> ServerError {
        match self {
            Failure::Server(error) => *error,
            Failure::Own(error) => ServerError {
                sqlerrcode: code::pack(error.code.sqlstate()),
                message: error.message,
                detail: match (error.detail, error.unkept) {
                    (Some(detail), Some(unkept)) => Some(format!("{detail}\n{unkept}")),
                    (detail, unkept) => detail.or(unkept),
                },
                hint: Some(error.hint),
                context: error.context,
                ..ServerError::default()
            },
        }
    }

    /// Message, detail, hint and context, as the history keeps them.
    pub fn said(&self) -> Said<'_> {
        match self {
            Failure::Own(error) => Said {
                message: &error.message,
                detail: error.detail.as_deref(),
                hint: Some(&error.hint),
                context: error.context.as_deref(),
            },
            Failure::Server(error) => Said {
                message: &error.message,
                detail: error.detail.as_deref(),
                hint: error.hint.as_deref(),
                context: error.context.as_deref(),
            },
        }
    }

    /// Adds a line to the error's CONTEXT, after what is there (inner first, as the server does).
    pub fn add_context(&mut self, line: &str) {
        let context = match self {
            Failure::Own(error) => &mut error.context,
            Failure::Server(error) => &mut error.context,
        };
        match context {
            Some(context) => {
                context.push('\n');
                context.push_str(line);
            }
            None => *context = Some(line.to_owned()),
        }
    }

    /// Adds facts to the error's DETAIL, after what is there.
    pub fn add_detail(&mut self, facts: &str) {
        let detail = match self {
            Failure::Own(error) => &mut error.detail,
            Failure::Server(error) => &mut error.detail,
        };
        match detail {
            Some(detail) => {
                detail.push('\n');
                detail.push_str(facts);
            }
            None => *detail = Some(facts.to_owned()),
        }
    }

    /// Adds a sentence to the error's HINT, after what is there.
    pub fn add_hint(&mut self, sentence: &str) {
        match self {
            Failure::Own(error) => {
                error.hint.push_str("; ");
                error.hint.push_str(sentence);
            }
            Failure::Server(error) => {
                error.hint = Some(match error.hint.take() {
                    Some(hint) if hint.ends_with('.') => format!("{hint} {sentence}"),
                    Some(hint) => format!("{hint}; {sentence}"),
                    None => sentence.to_owned(),
                });
            }
        }
    }
}

/// What an error says, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The message.
    pub message: &'a str,
    /// The facts.
    pub detail: Option<&'a str>,
    /// The next action.
    pub hint: Option<&'a str>,
    /// Where.
    pub context: Option<&'a str>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Own(error) => f.write_str(&error.message),
            Failure::Server(error) => f.write_str(&error.message),
        }
    }
}

impl From<pgrx::spi::SpiError> for Failure {
    fn from(error: pgrx::spi::SpiError) -> Self {
        Failure::new(
            Code::Internal,
            format!("a query of Belay's own failed: {error}"),
            "report this with the server's log",
        )
    }
}

/// Hands a failure to the client; what entry points end with.
pub fn raise<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(failure) => pg::error::throw(failure.into_server()),
    }
}

/// The body of an entry point: errors of the server keep all their fields.
pub fn entry<T>(body: impl FnOnce() -> Result<T>) -> T {
    raise(pg::error::catch(body))
}
