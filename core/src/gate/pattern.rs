//! What an application_name says of the release that a client runs.

use semver::Version;

use crate::naming::parse_release;

/// The server keeps so many bytes of an application_name; one of this length may have lost its end.
pub const MAX_SHOWN_BYTES: usize = 63;

/// Where the project's name stands.
const PROJECT: &str = "{project}";
/// Where the release stands.
const RELEASE: &str = "{release}";

/// A pattern that no release can be read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is no `{release}`.
    #[error("it has no place for the release")]
    NoRelease,
    /// There is more than one.
    #[error("it has more than one place for the release")]
    TwoReleases,
}

/// The application_name of a project's clients, such as `{project}/{release}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands before the release and after it, in each spelling that the server may have made of it.
    spellings: Vec<(String, String)>,
}

impl Pattern {
    /// The pattern of a project.
    ///
    /// # Errors
    ///
    /// [`PatternError`].
    pub fn new(pattern: &str, project: &str) -> Result<Pattern, PatternError> {
        let (before, after) = pattern.split_once(RELEASE).ok_or(PatternError::NoRelease)?;
        if after.contains(RELEASE) {
            return Err(PatternError::TwoReleases);
        }
        let part = |text: &str| text.replace(PROJECT, project);
        let (before, after) = (part(before), part(after));
        let mut spellings: Vec<(String, String)> = Vec::with_capacity(1);
        for spell in [as_it_is, with_marks, with_escapes] {
            let spelling = (spell(&before), spell(&after));
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        Ok(Pattern { spellings })
    }

    /// The release that an application_name shows.
    ///
    /// After the pattern the name may end or go on behind white space, as PgBouncer's
    /// `application_name_add_host` makes it. Build metadata does not count, as in semver's precedence.
    /// `None`: it shows none, or may have been cut.
    #[must_use]
    pub fn release_of(&self, application_name: &str) -> Option<Version> {
        self.spellings
            .iter()
            .find_map(|(before, after)| release_between(application_name, before, after))
    }
}

fn release_between(name: &str, before: &str, after: &str) -> Option<Version> {
    let rest = name.strip_prefix(before)?;
    let length = rest.find(|c: char| !is_of_release(c)).unwrap_or(rest.len());
    // What follows the release may look like a part of it: the longest that fits is taken.
    (1..=length).rev().find_map(|end| {
        let behind = rest.get(end..)?.strip_prefix(after)?;
        let is_cut = behind.is_empty() && name.len() >= MAX_SHOWN_BYTES;
        if is_cut || !(behind.is_empty() || behind.starts_with(char::is_whitespace)) {
            return None;
        }
        let text = rest.get(..end)?;
        parse_release(text.split('+').next().unwrap_or(text)).ok()
    })
}

fn is_of_release(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// Until 15 the server puts a question mark for each byte that is not printable ASCII.
fn with_marks(text: &str) -> String {
    let byte = |byte: u8| match is_printable(byte) {
        true => char::from(byte),
        false => '?',
    };
    text.bytes().map(byte).collect()
}

/// From 16 on it writes such a byte as `\xc3`.
fn with_escapes(text: &str) -> String {
    let byte = |byte: u8| match is_printable(byte) {
        true => char::from(byte).to_string(),
        false => format!("\\x{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

fn is_printable(byte: u8) -> bool {
    (32..127).contains(&byte)
}
