//! Statements that may not stand in a migration.

use super::Script;
use crate::error::{Code, Failure};

/// Why one may not.
pub(super) enum Refused {
    Transaction,
    CopyStdin,
    CopyStdout,
}

impl Refused {
    fn message(&self) -> &'static str {
        match self {
            Refused::Transaction => "transaction control is not allowed in a migration",
            Refused::CopyStdin => "COPY FROM STDIN is not allowed in a migration",
            Refused::CopyStdout => "COPY TO STDOUT is not allowed in a migration",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Refused::Transaction => {
                "take it out: a migration runs in a transaction of its own; one outer BEGIN ... \
                 COMMIT pair is accepted; \"-- belay: transaction off\" runs statement by statement"
            }
            Refused::CopyStdin => {
                "write the rows as INSERT (pg_dump --inserts), or COPY from a file on the server"
            }
            Refused::CopyStdout => "take it out: nobody receives the rows",
        }
    }

    /// The error; the statement stands between these bytes.
    pub(super) fn failure(&self, script: &Script, start: usize, end: usize) -> Failure {
        let statement = script.text_between(start, end);
        let statement: String = statement.chars().take(200).collect();
        Failure::new(Code::Statement, self.message(), self.hint())
            .detail(format!("statement: {}", first_line(&statement)))
            .at_line(script.line_of(start))
    }
}

fn first_line(text: &str) -> &str {
    let text = text.trim_start();
    text.lines()
        .find(|line| !line.trim_start().starts_with("--"))
        .unwrap_or(text)
}
