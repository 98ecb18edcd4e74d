//! SQL as text: what can be known without the server's grammar.

mod blank;
mod class;
mod error;
pub mod lexer;
mod scan;

#[cfg(test)]
mod tests;

pub use blank::blank_restrict_lines;
pub use error::LexError;
pub use lexer::{Lexer, Token, TokenKind, tokens};

/// The 1-based line of a byte offset. LF, CRLF and a lone CR each end a line.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> u32 {
    let head = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let next = text.as_bytes().get(head.len()).copied();
    let mut line = 1_u32;
    for (index, byte) in head.iter().enumerate() {
        let following = head.get(index + 1).copied().or(next);
        if *byte == b'\n' || (*byte == b'\r' && following != Some(b'\n')) {
            line = line.saturating_add(1);
        }
    }
    line
}
