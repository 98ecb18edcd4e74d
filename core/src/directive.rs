//! Directives: what a migration's text says about itself, in comments at its head.
//!
//! A directive is a line comment before the first token, one a line: `-- belay: WORD VALUE`. `belay` may be
//! written in any case, since a directive that is not recognised would be a comment without effect. A
//! comment inside a string, a `$$` body or a `/* */` comment is none.
//!
//! The transaction markers of other tools count as well:
//!
//! * sqlx runs a file outside a transaction if its content begins, at the very first byte, with
//!   `-- no-transaction`; what follows on the line does not matter (`resolve_blocking_with_config` in
//!   `sqlx-core/src/migrate/source.rs`). Here a byte order mark may stand before it.
//! * dbmate reads options behind the section markers, separated by white space, each a key and a value around
//!   a colon; `transaction:false` turns the transaction off for that section, any other value leaves it on,
//!   and what it does not know it ignores (`parseMigrationOptions` in `pkg/dbmate/migration.go`).
//! * diesel reads `run_in_transaction` from `metadata.toml` beside `up.sql`; it holds for up and down
//!   (`TomlMetadata` in `migrations_internals`, `SqlFileMigration` in `file_based_migrations.rs`).
//! * golang-migrate has none: a file is sent as it is.

mod error;
mod native;
mod parse;
mod value;

#[cfg(test)]
mod tests;

pub use error::DirectiveError;
pub(crate) use native::{MarkerOption, marker_option};
pub(crate) use parse::{Head, TRANSACTION, read_head};
pub(crate) use value::milliseconds;

use crate::contract::Waiver;

/// The other half of a migration, `-- belay: pairs-with NAME [indivisible]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The partner's name.
    pub name: String,
    /// Whether one half must never be reverted without the other.
    pub indivisible: bool,
}

/// What the head of a text asks for; what it does not mention is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// `transaction on|off`, or the marker of the tool that the file comes from.
    pub transaction: Option<bool>,
    /// `requires A, B`: names of the migrations that must be applied before.
    pub requires: Vec<String>,
    /// `pairs-with NAME [indivisible]`.
    pub pairs_with: Option<Pair>,
    /// `lock-timeout 2s`, in milliseconds; 0 = no timeout.
    pub lock_timeout_ms: Option<u32>,
    /// `lock-retries 3`: attempts after the first.
    pub lock_retries: Option<u32>,
    /// `privileged [on|off]`: whether the text takes rights that a deploying role may lack.
    pub privileged: Option<bool>,
    /// `waive RULE reason`, once a rule.
    pub waivers: Vec<Waiver>,
}

/// Reads the directives of a text, and reads the text to its end.
///
/// # Errors
///
/// [`DirectiveError`] with the line (1-based): an unknown directive, a bad value, one given twice, one that
/// stands after the first token; [`DirectiveError::Sql`] where the text is not SQL.
pub fn directives(sql: &str) -> Result<Directives, DirectiveError> {
    read_head(sql).map(|head| head.directives)
}
