//! The checksum of a migration: what its SQL says, not how it is laid out.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::plan::Direction;
use crate::sql::{LexError, TokenKind, blank_restrict_lines, tokens};

/// Names the encoding below; another encoding has to have another one.
const PREAMBLE: &[u8] = b"belay checksum 1\n";

const END: u8 = 0;
const TOKEN: u8 = 1;
const CONTINUATION: u8 = 2;
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// SHA-256 over the tokens of a migration's up and down.
///
/// White space, comments (so also directives), line ends outside strings, a byte order mark, pg_dump's
/// `\restrict` lines and semicolons behind the last statement do not count. Everything else does: within
/// strings, quoted identifiers and `$$` bodies each byte, comments and line ends of a function's body
/// included; and the letters of words as they are written, so that `SELECT` and `select` differ although
/// the server takes them for the same. An absent down differs from an empty one.
///
/// The hashed bytes are a preamble with the version of this encoding, then the up's tokens, a byte that
/// says whether there is a down, and the down's tokens. A token is a byte for its kind, its length (32 bits,
/// big-endian) and its bytes; a zero byte ends the text. No server takes part, so that the checksum is the
/// same on every version of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum([u8; 32]);

/// A text of a migration that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}, line {}: {source}", source.line())]
pub struct ChecksumError {
    /// Which of the two texts.
    pub part: Direction,
    /// What is wrong with it.
    pub source: LexError,
}

impl ChecksumError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        self.source.hint()
    }
}

impl Checksum {
    /// The checksum of a migration.
    ///
    /// Reads each text once and keeps no tokens.
    ///
    /// ```
    /// # use belay_core::checksum::Checksum;
    /// let plain = Checksum::of("SELECT 1, 'a'", None)?;
    /// assert_eq!(Checksum::of("-- one\nSELECT 1,'a';\r\n", None)?, plain);
    /// assert_ne!(Checksum::of("SELECT 1, 'a '", None)?, plain);
    /// # Ok::<(), belay_core::checksum::ChecksumError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChecksumError`] where a text cannot be read as SQL.
    pub fn of(up: &str, down: Option<&str>) -> Result<Checksum, ChecksumError> {
        let mut hasher = Sha256::new();
        hasher.update(PREAMBLE);
        hash_text(&mut hasher, up).map_err(|source| ChecksumError {
            part: Direction::Up,
            source,
        })?;
        match down {
            None => hasher.update([ABSENT]),
            Some(down) => {
                hasher.update([PRESENT]);
                hash_text(&mut hasher, down).map_err(|source| ChecksumError {
                    part: Direction::Down,
                    source,
                })?;
            }
        }
        Ok(Checksum(hasher.finalize().into()))
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Checksum {
    /// A digest that was stored.
    fn from(digest: [u8; 32]) -> Self {
        Checksum(digest)
    }
}

impl fmt::Display for Checksum {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hash_text(hasher: &mut Sha256, sql: &str) -> Result<(), LexError> {
    let sql = blank_restrict_lines(sql);
    // Semicolons are held back until something follows them.
    let mut semicolons = 0_usize;
    for token in tokens(&sql) {
        let token = token?;
        let text = &sql.as_bytes()[token.start..token.end];
        if text == b";" {
            semicolons += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut semicolons) {
            hash_token(hasher, TOKEN, b";");
        }
        let kind = match token.kind {
            TokenKind::StringContinuation => CONTINUATION,
            _ => TOKEN,
        };
        hash_token(hasher, kind, text);
    }
    hasher.update([END]);
    Ok(())
}

fn hash_token(hasher: &mut Sha256, kind: u8, text: &[u8]) {
    // The server takes no text of 4 GiB; a longer one would still be hashed, under a length of its own.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    hasher.update([kind, length[0], length[1], length[2], length[3]]);
    hasher.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(sql: &str) -> String {
        Checksum::of(sql, None).unwrap().to_string()
    }

    #[test]
    fn fixed_vectors() {
        for (up, down, expected) in [
            (
                "",
                None,
                "8906e4540225e2cf58a87456ee0f74641b89b0b481a84e9adf58db7fdbb37e21",
            ),
            (
                "SELECT 1",
                None,
                "dbb653ba8549d33a49b5055a1f50e668f154bf25b315f95590eec06f4a3cc6c2",
            ),
            (
                "CREATE TABLE users (id bigint PRIMARY KEY);",
                Some("DROP TABLE users;"),
                "cc77e007d0108dd638ad2d94ba39cdf4fb654db25af540ae37a6ae7c333c8213",
            ),
            (
                "SELECT 'a'\n'b'",
                Some(""),
                "c6579ca30cea0afa78961a6148a35f1ae4c5da14972809262ee0f5cfa6b50d16",
            ),
        ] {
            assert_eq!(
                Checksum::of(up, down).unwrap().to_string(),
                expected,
                "{up}"
            );
        }
    }

    #[test]
    fn layout_does_not_count() {
        let plain = up("SELECT f(1, 'a');\nSELECT 2;");
        for same in [
            "\u{feff}SELECT f(1, 'a');\r\nSELECT 2;\r\n",
            "-- belay: transaction off\nSELECT f ( 1,'a' ) ; SELECT 2 ;",
            "SELECT/* x */f(1,--\n'a');SELECT 2",
            "\\restrict x\nSELECT f(1, 'a');\nSELECT 2;\n\\unrestrict x\n",
            "SELECT f(1, 'a');\nSELECT 2;;\n;",
        ] {
            assert_eq!(up(same), plain, "{same}");
        }
    }

    #[test]
    fn everything_else_counts() {
        let texts = [
            "SELECT f(1, 'a');\nSELECT 2;",
            "SELECT f(1, 'a')\nSELECT 2;",
            "SELECT f(1, 'a');;\nSELECT 2;",
            "select f(1, 'a');\nSELECT 2;",
            "SELECT f(1, 'a ');\nSELECT 2;",
            "SELECT f(1, 'A');\nSELECT 2;",
            "SELECT \"f\"(1, 'a');\nSELECT 2;",
            "SELECT f(1, E'a');\nSELECT 2;",
            "SELECT f(1, 'a' 'b');\nSELECT 2;",
            "SELECT f(1, 'a'\n'b');\nSELECT 2;",
            "SELECT f(1, $$a$$);\nSELECT 2;",
            "SELECT f(1, $$a\n$$);\nSELECT 2;",
            "SELECT f(1, $$a\r\n$$);\nSELECT 2;",
            "SELECT f(1, $$a -- x\n$$);\nSELECT 2;",
            "SELECT f(1 , 'a'); SELECT 2 3",
            "SELECT f(1 , 'a'); SELECT 23",
        ];
        let mut sums: Vec<String> = texts.iter().map(|sql| up(sql)).collect();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), texts.len());
    }

    #[test]
    fn up_and_down_cannot_be_taken_for_one_another() {
        let of = |up, down| Checksum::of(up, down).unwrap();
        assert_ne!(of("a", None), of("a", Some("")));
        assert_ne!(of("a", Some("b")), of("b", Some("a")));
        assert_ne!(of("a b", Some("")), of("a", Some("b")));
    }

    #[test]
    fn errors_name_the_text_and_the_line() {
        let error = Checksum::of("a", Some("b\n'c")).unwrap_err();
        assert_eq!(error.part, Direction::Down);
        assert_eq!(
            error.to_string(),
            "down, line 2: unterminated quoted string"
        );
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn a_stored_digest_comes_back() {
        let sum = Checksum::of("a", None).unwrap();
        assert_eq!(Checksum::from(*sum.as_bytes()), sum);
    }
}
