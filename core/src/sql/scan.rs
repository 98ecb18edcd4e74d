//! Where one token or comment ends.

use super::class;
use super::error::LexError;
use super::lexer::TokenKind;
use super::line_of;

/// How a single-quoted string ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// At the next quote that is not doubled.
    Plain,
    /// The same, and a backslash takes the next character's meaning away.
    Escapes,
}

/// A token that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned {
    pub(super) kind: TokenKind,
    pub(super) end: usize,
    /// Set for a string, which may go on after a line break.
    pub(super) quote: Option<Quote>,
}

impl Scanned {
    fn new(kind: TokenKind, end: usize) -> Self {
        Scanned {
            kind,
            end,
            quote: None,
        }
    }
}

/// Why a token could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    String,
    Identifier,
    /// With the length of the opening tag.
    DollarQuote(usize),
    Comment,
    Backslash,
}

impl Failure {
    /// The error for a piece that begins at an offset.
    pub(super) fn at(self, sql: &str, start: usize) -> LexError {
        let line = line_of(sql, start);
        match self {
            Failure::String => LexError::UnterminatedString { line },
            Failure::Identifier => LexError::UnterminatedIdentifier { line },
            Failure::Comment => LexError::UnterminatedComment { line },
            Failure::DollarQuote(length) => LexError::UnterminatedDollarQuote {
                tag: sql.get(start..start + length).unwrap_or("$$").to_owned(),
                line,
            },
            Failure::Backslash => {
                let end = line_end(sql.as_bytes(), start);
                let command = sql.get(start..end).unwrap_or("\\").trim_end();
                LexError::MetaCommand {
                    command: command.chars().take(60).collect(),
                    line,
                }
            }
        }
    }
}

/// The token that begins at `start`, where neither white space nor a comment begins.
pub(super) fn token(bytes: &[u8], start: usize) -> Result<Scanned, Failure> {
    let first = bytes[start];
    let second = bytes.get(start + 1).copied().unwrap_or(0);
    match first {
        b'\'' => string(bytes, start + 1, Quote::Plain),
        b'"' => identifier(bytes, start + 1),
        b'$' => dollar(bytes, start),
        b'\\' => Err(Failure::Backslash),
        b'e' | b'E' if second == b'\'' => string(bytes, start + 2, Quote::Escapes),
        b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if second == b'\'' => {
            string(bytes, start + 2, Quote::Plain)
        }
        b'u' | b'U' if second == b'&' => match bytes.get(start + 2) {
            Some(b'\'') => string(bytes, start + 3, Quote::Plain),
            Some(b'"') => identifier(bytes, start + 3),
            _ => Ok(word(bytes, start)),
        },
        b'.' if second == b'.' => Ok(Scanned::new(TokenKind::Operator, start + 2)),
        b'.' if class::is_digit(second) => Ok(number(bytes, start)),
        b':' if second == b':' || second == b'=' => {
            Ok(Scanned::new(TokenKind::Operator, start + 2))
        }
        _ if class::is_identifier_start(first) => Ok(word(bytes, start)),
        _ if class::is_digit(first) => Ok(number(bytes, start)),
        _ if class::is_operator(first) => Ok(operator(bytes, start)),
        _ => Ok(Scanned::new(TokenKind::Other, start + 1)),
    }
}

/// The further segment of a string, beginning with its quote.
pub(super) fn segment(bytes: &[u8], start: usize, quote: Quote) -> Result<Scanned, Failure> {
    string(bytes, start + 1, quote).map(|scanned| Scanned {
        kind: TokenKind::StringContinuation,
        ..scanned
    })
}

/// The offset of the line break that ends the line, or the end of the text.
pub(super) fn line_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|b| *b == b'\n' || *b == b'\r')
        .map_or(bytes.len(), |length| start + length)
}

/// The offset behind a comment; comments nest.
pub(super) fn block_comment(bytes: &[u8], start: usize) -> Result<usize, Failure> {
    let mut depth = 1_usize;
    let mut at = start + 2;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Ok(at);
                }
            }
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    Err(Failure::Comment)
}

fn word(bytes: &[u8], start: usize) -> Scanned {
    Scanned::new(TokenKind::Word, run(bytes, start + 1, class::is_identifier))
}

/// The offset of the first byte from `at` on that is not of a class.
fn run(bytes: &[u8], at: usize, class: impl Fn(u8) -> bool) -> usize {
    bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .position(|b| !class(*b))
        .map_or(bytes.len(), |length| at + length)
}

fn string(bytes: &[u8], mut at: usize, quote: Quote) -> Result<Scanned, Failure> {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => {
                return Ok(Scanned {
                    kind: TokenKind::String,
                    end: at + 1,
                    quote: Some(quote),
                });
            }
            b'\\' if quote == Quote::Escapes => at += 2,
            _ => at += 1,
        }
    }
    Err(Failure::String)
}

fn identifier(bytes: &[u8], mut at: usize) -> Result<Scanned, Failure> {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => return Ok(Scanned::new(TokenKind::QuotedIdentifier, at + 1)),
            _ => at += 1,
        }
    }
    Err(Failure::Identifier)
}

/// `$1`, `$tag$...$tag$`, or a dollar that is neither.
fn dollar(bytes: &[u8], start: usize) -> Result<Scanned, Failure> {
    let next = bytes.get(start + 1).copied().unwrap_or(0);
    if class::is_digit(next) {
        let end = run(bytes, start + 1, class::is_identifier);
        return Ok(Scanned::new(TokenKind::Parameter, end));
    }
    let tag_end = if class::is_identifier_start(next) {
        run(bytes, start + 1, class::is_tag)
    } else {
        start + 1
    };
    if bytes.get(tag_end) != Some(&b'$') {
        return Ok(Scanned::new(TokenKind::Other, start + 1));
    }
    let tag = &bytes[start..=tag_end];
    let mut at = tag_end + 1;
    while let Some(length) = bytes[at..].iter().position(|b| *b == b'$') {
        at += length;
        if bytes[at..].starts_with(tag) {
            return Ok(Scanned::new(TokenKind::DollarString, at + tag.len()));
        }
        at += 1;
    }
    Err(Failure::DollarQuote(tag.len()))
}

/// Integers in any base, decimals and reals; `1..10` is a number, `..` and a number.
fn number(bytes: &[u8], start: usize) -> Scanned {
    let mut at = run(bytes, start, class::is_digit_or_underscore);
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1) != Some(&b'.') {
        at = run(bytes, at + 1, class::is_digit_or_underscore);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        if bytes
            .get(at + 1 + sign)
            .copied()
            .is_some_and(class::is_digit)
        {
            at = run(bytes, at + 1 + sign, class::is_digit_or_underscore);
        }
    }
    // Letters right behind a number are a base (0x1f) or an error that the server reports.
    Scanned::new(TokenKind::Number, run(bytes, at, class::is_identifier))
}

/// The longest run of operator characters, cut short by the server's two rules: it ends where a comment
/// begins, and it does not end in `+` or `-` unless it holds a character that SQL's operators do not have.
fn operator(bytes: &[u8], start: usize) -> Scanned {
    let mut end = run(bytes, start, class::is_operator);
    let comment = bytes[start..end]
        .windows(2)
        .position(|pair| pair == b"--" || pair == b"/*");
    if let Some(length) = comment {
        end = start + length;
    }
    if !bytes[start..end].iter().copied().any(class::is_beyond_sql) {
        while end - start > 1 && matches!(bytes[end - 1], b'+' | b'-') {
            end -= 1;
        }
    }
    Scanned::new(TokenKind::Operator, end)
}
