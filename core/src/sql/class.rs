//! The character classes of PostgreSQL's scanner (`scan.l`, the same from 15 to 18 but for vertical tab).

const SPACE: u8 = 1;
const IDENTIFIER_START: u8 = 2;
const DIGIT: u8 = 4;
const OPERATOR: u8 = 8;

/// One look-up a byte keeps 10 MB well under a tenth of a second.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = class(byte as u8);
        byte += 1;
    }
    table
}

const fn class(byte: u8) -> u8 {
    match byte {
        // Vertical tab is white space since 16 and an error before; counting it as space is harmless.
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => IDENTIFIER_START,
        b'0'..=b'9' => DIGIT,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*'
        | b'/' | b'%' | b'<' | b'>' | b'=' => OPERATOR,
        _ => 0,
    }
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// `[ \t\n\r\f\v]`
pub(super) fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// `[A-Za-z\200-\377_]`: a multi-byte character is part of a word whatever it is.
pub(super) fn is_identifier_start(byte: u8) -> bool {
    is(byte, IDENTIFIER_START)
}

/// What may follow within an identifier, the dollar included.
pub(super) fn is_identifier(byte: u8) -> bool {
    is(byte, IDENTIFIER_START | DIGIT) || byte == b'$'
}

/// What may follow within the tag of a dollar quote: as in an identifier, without the dollar.
pub(super) fn is_tag(byte: u8) -> bool {
    is(byte, IDENTIFIER_START | DIGIT)
}

/// `[0-9]`
pub(super) fn is_digit(byte: u8) -> bool {
    is(byte, DIGIT)
}

/// The characters that make up operators.
pub(super) fn is_operator(byte: u8) -> bool {
    is(byte, OPERATOR)
}

/// The operator characters that SQL itself does not use; only an operator that holds one may end in `+` or `-`.
pub(super) fn is_beyond_sql(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?'
    )
}

/// What may follow within a number.
pub(super) fn is_digit_or_underscore(byte: u8) -> bool {
    is(byte, DIGIT) || byte == b'_'
}
