//! The lines `\restrict` and `\unrestrict`, which pg_dump writes around a plain dump.

use std::borrow::Cow;

use super::error::LexError;
use super::lexer::Lexer;
use super::scan;

/// Replaces the `\restrict` and `\unrestrict` lines of pg_dump by spaces.
///
/// Only where the backslash begins a line and stands outside quotes and comments. Every byte offset and
/// every line keeps its number. A text that cannot be read is blanked up to where it cannot be read; the
/// error is for the lexer to raise.
#[must_use]
pub fn blank_restrict_lines(sql: &str) -> Cow<'_, str> {
    if !sql.contains("\\restrict") && !sql.contains("\\unrestrict") {
        return Cow::Borrowed(sql);
    }
    let mut blanked = String::new();
    let mut copied = 0;
    for (start, end) in restrict_lines(sql) {
        blanked.push_str(&sql[copied..start]);
        blanked.extend(std::iter::repeat_n(' ', end - start));
        copied = end;
    }
    if copied == 0 {
        return Cow::Borrowed(sql);
    }
    blanked.push_str(&sql[copied..]);
    Cow::Owned(blanked)
}

/// The lines, each from its backslash to its line break.
fn restrict_lines(sql: &str) -> Vec<(usize, usize)> {
    let mut lines = Vec::new();
    let mut lexer = Lexer::new(sql);
    while let Some(piece) = lexer.next_piece() {
        match piece {
            Ok(_) => {}
            Err(LexError::MetaCommand { .. }) => match restrict_line(sql, lexer.offset()) {
                Some(end) => {
                    lines.push((lexer.offset(), end));
                    lexer.resume_at(end);
                }
                None => break,
            },
            Err(_) => break,
        }
    }
    lines
}

/// The end of the line, if it is one of the two commands.
fn restrict_line(sql: &str, start: usize) -> Option<usize> {
    let before = sql.as_bytes()[..start].last();
    if !matches!(before, None | Some(b'\n' | b'\r')) && sql.get(..start) != Some("\u{feff}") {
        return None;
    }
    let end = scan::line_end(sql.as_bytes(), start);
    let command = sql[start..end].split_ascii_whitespace().next();
    matches!(command, Some("\\restrict" | "\\unrestrict")).then_some(end)
}
