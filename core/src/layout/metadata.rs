//! diesel's `metadata.toml`.

use super::error::TextError;
use crate::sql::line_of;

const KEY: &str = "run_in_transaction";

/// Whether the migration runs in a transaction, if the file says so.
///
/// diesel's own code takes a file without the key for `false` and one it cannot read for `true`; its
/// documentation has `true` as the default. Here the first says nothing and the second is an error.
pub(super) fn run_in_transaction(toml: &str) -> Result<Option<bool>, TextError> {
    let table: toml::Table = toml.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        TextError::Metadata {
            message: format!("not valid TOML: {}", error.message()),
            line: line_of(toml, at),
        }
    })?;
    match table.get(KEY) {
        None => Ok(None),
        Some(toml::Value::Boolean(value)) => Ok(Some(*value)),
        Some(other) => Err(TextError::Metadata {
            message: format!("\"{KEY}\" must be true or false, not {}", other.type_str()),
            line: toml.find(KEY).map_or(1, |offset| line_of(toml, offset)),
        }),
    }
}
