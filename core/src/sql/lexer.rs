//! PostgreSQL's lexical rules.
//!
//! Follows the server's scanner (`src/backend/parser/scan.l`) with `standard_conforming_strings` on. It is
//! more lenient where the server raises an error that needs no lexer to be found: a number with letters
//! behind it is one token here, and escapes inside strings are not looked at. What it must never do is take
//! for a string, a comment or an identifier what the server takes for something else.
//!
//! A string that goes on after a line break (`'a'` on one line, `'b'` on the next) comes as two tokens, the
//! second of kind [`TokenKind::StringContinuation`]; the same two strings on one line are two
//! [`TokenKind::String`].

use super::class;
use super::error::LexError;
use super::line_of;
use super::scan::{self, Quote};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A word: identifier or keyword, as it was written.
    Word,
    /// `"..."` or `U&"..."`.
    QuotedIdentifier,
    /// `'...'`, `E'...'`, `B'...'`, `X'...'`, `N'...'`, `U&'...'`.
    String,
    /// `'...'` that continues the string before it, after a line break.
    StringContinuation,
    /// `$tag$...$tag$`.
    DollarString,
    /// A number, with whatever letters follow it without a space.
    Number,
    /// `$1`
    Parameter,
    /// One or more operator characters, `::`, `..` or `:=`.
    Operator,
    /// One character of `, ( ) [ ] . ; :` or one that SQL does not know.
    Other,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// A token, or a comment that callers such as the directives want to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A token.
    Token(Token),
    /// A `--` comment from its dashes to the end of its line, the line break not included.
    LineComment {
        /// Offset of the first dash.
        start: usize,
        /// Offset of the line break, or the end of the text.
        end: usize,
    },
}

/// Reads a text token by token, without allocating.
///
/// After an error it yields nothing more.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    /// The first NUL byte; a text that holds one is refused as a whole.
    nul: Option<usize>,
    /// The quote of the last token, where a further segment would belong to the same string.
    continuable: Option<Quote>,
    /// Whether a line break stands between the last token and here.
    line_break: bool,
    failed: bool,
}

/// The tokens of a text; white space and comments are passed over, and so is a byte order mark at its start.
#[must_use]
pub fn tokens(sql: &str) -> Lexer<'_> {
    Lexer::new(sql)
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of a text.
    #[must_use]
    pub fn new(sql: &'a str) -> Self {
        const MARK: char = '\u{feff}';
        Lexer {
            sql,
            at: if sql.starts_with(MARK) {
                MARK.len_utf8()
            } else {
                0
            },
            nul: sql.find('\0'),
            continuable: None,
            line_break: false,
            failed: false,
        }
    }

    /// Goes on at another offset, which must not lie within a token or a comment.
    pub(crate) fn resume_at(&mut self, offset: usize) {
        self.at = offset;
        self.continuable = None;
        self.failed = false;
    }

    /// Where the next piece is looked for; after an error, where the offending piece begins.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next token or line comment.
    #[inline]
    pub(crate) fn next_piece(&mut self) -> Option<Result<Piece, LexError>> {
        if self.failed {
            return None;
        }
        match self.read_piece() {
            Ok(piece) => piece.map(Ok),
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }

    fn read_piece(&mut self) -> Result<Option<Piece>, LexError> {
        if let Some(nul) = self.nul {
            return Err(LexError::Nul {
                line: line_of(self.sql, nul),
            });
        }
        let bytes = self.sql.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if class::is_space(byte) {
                self.line_break |= byte == b'\n' || byte == b'\r';
                self.at += 1;
                continue;
            }
            match (byte, bytes.get(self.at + 1)) {
                (b'-', Some(b'-')) => {
                    let start = self.at;
                    self.at = scan::line_end(bytes, start);
                    let end = self.at;
                    return Ok(Some(Piece::LineComment { start, end }));
                }
                (b'/', Some(b'*')) => {
                    // Only white space and `--` comments may stand between the parts of a string.
                    self.continuable = None;
                    self.at = scan::block_comment(bytes, self.at)
                        .map_err(|failure| failure.at(self.sql, self.at))?;
                }
                _ => return self.read_token().map(|token| Some(Piece::Token(token))),
            }
        }
        Ok(None)
    }

    fn read_token(&mut self) -> Result<Token, LexError> {
        let bytes = self.sql.as_bytes();
        let start = self.at;
        let goes_on = self.line_break && bytes.get(start) == Some(&b'\'');
        let scanned = match self.continuable.take().filter(|_| goes_on) {
            Some(quote) => scan::segment(bytes, start, quote),
            None => scan::token(bytes, start),
        }
        .map_err(|failure| failure.at(self.sql, start))?;
        self.at = scanned.end;
        self.continuable = scanned.quote;
        self.line_break = false;
        Ok(Token {
            kind: scanned.kind,
            start,
            end: scanned.end,
        })
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, LexError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_piece()? {
                Ok(Piece::Token(token)) => return Some(Ok(token)),
                Ok(Piece::LineComment { .. }) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
