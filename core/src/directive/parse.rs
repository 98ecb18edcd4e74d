//! Finding the directives.

use super::error::DirectiveError;
use super::native::sqlx_marker;
use super::{Directives, value};
use crate::contract::{self, Waiver};
use crate::sql::lexer::Piece;
use crate::sql::{Lexer, blank_restrict_lines, line_of};

pub(crate) const TRANSACTION: &str = "transaction";
const REQUIRES: &str = "requires";
const PAIRS_WITH: &str = "pairs-with";
const LOCK_TIMEOUT: &str = "lock-timeout";
const LOCK_RETRIES: &str = "lock-retries";
const PRIVILEGED: &str = "privileged";
const WAIVE: &str = "waive";

/// The head of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) directives: Directives,
    /// Whether the text holds a token at all.
    pub(crate) has_tokens: bool,
    /// Each directive with its line (1-based), in the order of the text.
    found: Vec<(&'static str, u32)>,
}

impl Head {
    /// The line (1-based) of a directive, if it was given.
    pub(crate) fn line(&self, word: &str) -> Option<u32> {
        let found = self.found.iter().find(|(given, _)| *given == word);
        found.map(|(_, line)| *line)
    }

    /// What a down cannot ask for: it runs when its up is reverted, wherever that stands.
    pub(crate) fn check_down(&self) -> Result<(), DirectiveError> {
        for word in [REQUIRES, PAIRS_WITH, WAIVE] {
            if let Some(line) = self.line(word) {
                return Err(DirectiveError::NotForDown {
                    word: word.to_owned(),
                    line,
                });
            }
        }
        Ok(())
    }

    fn set(&mut self, word: &str, value: &str, line: u32) -> Result<(), DirectiveError> {
        let bad = |expected| DirectiveError::BadValue {
            word: word.to_owned(),
            value: value.to_owned(),
            expected,
            line,
        };
        let known = match word {
            TRANSACTION => {
                self.directives.transaction = Some(value::on_or_off(value).map_err(bad)?);
                TRANSACTION
            }
            REQUIRES => {
                self.directives.requires = value::names(value).map_err(bad)?;
                REQUIRES
            }
            PAIRS_WITH => {
                self.directives.pairs_with = Some(value::pair(value).map_err(bad)?);
                PAIRS_WITH
            }
            LOCK_TIMEOUT => {
                self.directives.lock_timeout_ms = Some(value::milliseconds(value).map_err(bad)?);
                LOCK_TIMEOUT
            }
            LOCK_RETRIES => {
                self.directives.lock_retries = Some(value::retries(value).map_err(bad)?);
                LOCK_RETRIES
            }
            PRIVILEGED => {
                self.directives.privileged = Some(value::privileged(value).map_err(bad)?);
                PRIVILEGED
            }
            WAIVE => return self.waive(value, line),
            _ => {
                return Err(DirectiveError::Unknown {
                    word: word.to_owned(),
                    line,
                });
            }
        };
        if self.line(known).is_some() {
            return Err(DirectiveError::Repeated {
                word: word.to_owned(),
                line,
            });
        }
        self.found.push((known, line));
        Ok(())
    }

    /// Each rule is waived by itself.
    fn waive(&mut self, value: &str, line: u32) -> Result<(), DirectiveError> {
        let (rule, reason) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
        let reason = reason.trim();
        let Some(known) = contract::find(rule) else {
            return Err(match rule {
                "" => value::no_reason(value, line),
                _ => DirectiveError::UnknownRule {
                    rule: rule.to_owned(),
                    line,
                },
            });
        };
        if reason.is_empty() {
            return Err(value::no_reason(value, line));
        }
        let mut waivers = self.directives.waivers.iter();
        if waivers.any(|waiver| waiver.rule == known.id) {
            return Err(DirectiveError::Repeated {
                word: format!("{WAIVE} {rule}"),
                line,
            });
        }
        self.directives.waivers.push(Waiver {
            rule: known.id,
            reason: reason.to_owned(),
        });
        self.found.push((WAIVE, line));
        Ok(())
    }

    fn add_native_marker(&mut self, sql: &str) -> Result<(), DirectiveError> {
        let Some(marker) = sqlx_marker(sql) else {
            return Ok(());
        };
        match self.line(TRANSACTION) {
            Some(line) if self.directives.transaction == Some(true) => {
                Err(DirectiveError::Contradiction {
                    word: TRANSACTION.to_owned(),
                    marker: marker.to_owned(),
                    line,
                })
            }
            _ => {
                self.directives.transaction = Some(false);
                Ok(())
            }
        }
    }
}

/// Reads a text to its end: its directives, whether it says anything, and whether it is SQL at all.
pub(crate) fn read_head(sql: &str) -> Result<Head, DirectiveError> {
    let blanked = blank_restrict_lines(sql);
    let sql: &str = &blanked;
    let mut head = Head::default();
    let mut lexer = Lexer::new(sql);
    while let Some(piece) = lexer.next_piece() {
        match piece? {
            Piece::Token(_) => head.has_tokens = true,
            Piece::LineComment { start, end } => {
                let Some((word, value)) = split(&sql[start..end]) else {
                    continue;
                };
                let line = line_of(sql, start);
                if head.has_tokens {
                    return Err(DirectiveError::NotAtHead {
                        word: word.to_owned(),
                        line,
                    });
                }
                head.set(word, value, line)?;
            }
        }
    }
    head.add_native_marker(sql)?;
    Ok(head)
}

/// The word and the value of a directive; `None` for another comment.
fn split(comment: &str) -> Option<(&str, &str)> {
    const NAME: &str = "belay";
    let text = comment.trim_start_matches('-').trim_start();
    let (name, rest) = text.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let directive = rest.trim_start().strip_prefix(':')?.trim();
    Some(match directive.split_once(char::is_whitespace) {
        Some((word, value)) => (word, value.trim()),
        None => (directive, ""),
    })
}
