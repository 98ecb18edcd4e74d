//! The section markers of dbmate, `-- migrate:up` and `-- migrate:down`.

use super::error::SectionError;
use crate::directive::{MarkerOption, marker_option};
use crate::sql::lexer::Piece;
use crate::sql::{LexError, Lexer, line_of};

const UP: &str = "-- migrate:up";
const DOWN: &str = "-- migrate:down";

/// A marker that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    /// Offset of its line.
    pub(super) start: usize,
    /// Its line (1-based).
    pub(super) line: u32,
    /// Its option `transaction:true|false`.
    pub(super) transaction: Option<bool>,
}

/// The markers of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sections {
    pub(super) up: Option<Marker>,
    pub(super) down: Option<Marker>,
}

/// Why a text could not be cut into sections.
#[derive(Debug)]
pub(super) enum CutError {
    Section(SectionError),
    Sql(LexError),
}

impl From<SectionError> for CutError {
    fn from(error: SectionError) -> Self {
        CutError::Section(error)
    }
}

impl From<LexError> for CutError {
    fn from(error: LexError) -> Self {
        CutError::Sql(error)
    }
}

impl Sections {
    /// Finds the markers.
    pub(super) fn find(sql: &str) -> Result<Sections, CutError> {
        let mut sections = Sections::default();
        // Most texts have none, and need not be read twice.
        if !sql.contains("migrate:") {
            return Ok(sections);
        }
        let mut has_tokens = false;
        let mut lexer = Lexer::new(sql);
        while let Some(piece) = lexer.next_piece() {
            match piece? {
                Piece::Token(_) => has_tokens = true,
                Piece::LineComment { start, end } if begins_line(sql, start) => {
                    sections.add(sql, start, end, has_tokens)?;
                }
                Piece::LineComment { .. } => {}
            }
        }
        Ok(sections)
    }

    /// A down by itself has no sections.
    pub(super) fn refuse_in_down(&self) -> Result<(), SectionError> {
        for (marker, found) in [(UP, self.up), (DOWN, self.down)] {
            if let Some(Marker { line, .. }) = found {
                return Err(SectionError::MarkerInDown { marker, line });
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        sql: &str,
        start: usize,
        end: usize,
        has_tokens: bool,
    ) -> Result<(), SectionError> {
        let Some((word, options)) = split(&sql[start..end]) else {
            return Ok(());
        };
        let line = line_of(sql, start);
        let transaction = match marker_option(options) {
            MarkerOption::Unsaid => None,
            MarkerOption::Transaction(value) => Some(value),
            MarkerOption::NotUnderstood(option) => {
                return Err(SectionError::BadOption { option, line });
            }
        };
        let (slot, marker) = match word {
            "up" if self.down.is_some() && self.up.is_none() => {
                let line = self.down.map_or(line, |down| down.line);
                return Err(SectionError::DownFirst { line });
            }
            "up" if has_tokens && self.up.is_none() => {
                return Err(SectionError::StatementBeforeUp { line });
            }
            "up" => (&mut self.up, UP),
            _ => (&mut self.down, DOWN),
        };
        if slot.is_some() {
            return Err(SectionError::Repeated { marker, line });
        }
        *slot = Some(Marker {
            start,
            line,
            transaction,
        });
        Ok(())
    }
}

fn begins_line(sql: &str, start: usize) -> bool {
    let before = sql.as_bytes()[..start].last();
    matches!(before, None | Some(b'\n' | b'\r'))
}

/// `up` or `down` and what follows it; `None` for another comment.
fn split(comment: &str) -> Option<(&str, &str)> {
    let text = comment.strip_prefix("--")?.trim_start();
    let rest = text.strip_prefix("migrate:")?;
    let (word, options) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    matches!(word, "up" | "down").then_some((word, options))
}
