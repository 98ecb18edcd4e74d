//! The transaction markers of other tools.

/// What sqlx looks for at the first byte of a file.
const SQLX_MARKER: &str = "-- no-transaction";

/// The marker of sqlx, if the text begins with it.
pub(super) fn sqlx_marker(sql: &str) -> Option<&'static str> {
    sql.strip_prefix('\u{feff}')
        .unwrap_or(sql)
        .starts_with(SQLX_MARKER)
        .then_some(SQLX_MARKER)
}

/// What the text behind a dbmate section marker says of the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MarkerOption {
    /// Nothing.
    Unsaid,
    /// `transaction:true` or `transaction:false`.
    Transaction(bool),
    /// Something that begins like it; dbmate would take it for prose, and run the section in a transaction.
    NotUnderstood(String),
}

/// Reads the options of a section marker; those that are not about the transaction have no meaning.
pub(crate) fn marker_option(options: &str) -> MarkerOption {
    let option = options
        .split_whitespace()
        .find(|option| option.starts_with("transaction"));
    match option {
        None => MarkerOption::Unsaid,
        Some("transaction:true") => MarkerOption::Transaction(true),
        Some("transaction:false") => MarkerOption::Transaction(false),
        Some(other) => MarkerOption::NotUnderstood(other.to_owned()),
    }
}
