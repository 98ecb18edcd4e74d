//! Files that are no migrations, and texts that cannot be read.

use crate::directive::DirectiveError;
use crate::name::NameError;
use crate::plan::Direction;

/// What is wrong with the section markers of a text. Lines are 1-based, in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// A marker stands there twice.
    #[error("section marker \"{marker}\" is given twice")]
    Repeated {
        /// The marker.
        marker: &'static str,
        /// Where it stands the second time.
        line: u32,
    },
    /// The down section begins before the up section.
    #[error("section marker \"-- migrate:down\" stands before \"-- migrate:up\"")]
    DownFirst {
        /// Where the down section begins.
        line: u32,
    },
    /// A statement stands before the up section.
    #[error("a statement stands before \"-- migrate:up\"")]
    StatementBeforeUp {
        /// Where the up section begins.
        line: u32,
    },
    /// A down is given twice: as a section and as a text or file of its own.
    #[error("the down is given twice, as a section and as a text of its own")]
    TwoDowns {
        /// Where the down section begins.
        line: u32,
    },
    /// The text that is a down by itself has section markers.
    #[error("a down holds the section marker \"{marker}\"")]
    MarkerInDown {
        /// The marker.
        marker: &'static str,
        /// Where it stands.
        line: u32,
    },
    /// The marker's transaction option is neither true nor false.
    #[error("section option \"{option}\" is not understood")]
    BadOption {
        /// The option as it was given.
        option: String,
        /// Where it stands.
        line: u32,
    },
}

impl SectionError {
    /// The line (1-based) in the text that was read.
    #[must_use]
    pub fn line(&self) -> u32 {
        match self {
            SectionError::Repeated { line, .. }
            | SectionError::DownFirst { line }
            | SectionError::StatementBeforeUp { line }
            | SectionError::TwoDowns { line }
            | SectionError::MarkerInDown { line, .. }
            | SectionError::BadOption { line, .. } => *line,
        }
    }

    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            SectionError::Repeated { .. } => {
                "write one migration a file, with one up and one down section"
            }
            SectionError::DownFirst { .. } => "put the up section first",
            SectionError::StatementBeforeUp { .. } => "move the statement below \"-- migrate:up\"",
            SectionError::TwoDowns { .. } => "keep one of them",
            SectionError::MarkerInDown { .. } => {
                "keep up and down in one file with markers, or in two without"
            }
            SectionError::BadOption { .. } => "write transaction:false or transaction:true",
        }
        .to_owned()
    }
}

/// A text that cannot be a migration. Lines are 1-based, in the file where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is not UTF-8.
    #[error("not valid UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Offset (0-based) of the first bad byte.
        offset: usize,
        /// Whether the file begins like UTF-16.
        utf16: bool,
        /// The line of that byte.
        line: u32,
    },
    /// The up holds nothing but comments.
    #[error("the up holds no statement")]
    EmptyUp,
    /// A directive, or the SQL itself, is wrong.
    #[error("{source}")]
    Directive {
        /// What is wrong; its own line counts from the start of the text. Boxed, for errors travel by value.
        source: Box<DirectiveError>,
        /// The line.
        line: u32,
    },
    /// The section markers are wrong.
    #[error("{source}")]
    Section {
        /// What is wrong; its own line counts from the start of the text.
        source: SectionError,
        /// The line.
        line: u32,
    },
    /// The migration requires itself, or is its own partner.
    #[error("migration \"{name}\" names itself in \"{word}\"")]
    NamesItself {
        /// The name.
        name: String,
        /// The directive.
        word: &'static str,
    },
    /// diesel's `metadata.toml` cannot be read.
    #[error("{message}")]
    Metadata {
        /// What is wrong.
        message: String,
        /// The line.
        line: u32,
    },
}

impl TextError {
    /// The line (1-based), where the error has one.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        match self {
            TextError::NotUtf8 { line, .. }
            | TextError::Directive { line, .. }
            | TextError::Section { line, .. }
            | TextError::Metadata { line, .. } => Some(*line),
            TextError::EmptyUp | TextError::NamesItself { .. } => None,
        }
    }

    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            TextError::NotUtf8 { utf16: true, .. } => {
                "save the file as UTF-8; it looks like UTF-16".to_owned()
            }
            TextError::NotUtf8 { .. } => "save the file as UTF-8".to_owned(),
            TextError::EmptyUp => "write at least one statement; SELECT 1 does nothing".to_owned(),
            TextError::Directive { source, .. } => source.hint(),
            TextError::Section { source, .. } => source.hint(),
            TextError::NamesItself { .. } => "name another migration".to_owned(),
            TextError::Metadata { .. } => "write run_in_transaction = false, or true".to_owned(),
        }
    }
}

/// A set of files, or one text, that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No file is a migration.
    #[error("no migrations among {files} files")]
    NoMigrations {
        /// How many files were given.
        files: usize,
    },
    /// A name breaks a rule.
    #[error("{}{source}", at_file(path.as_deref()))]
    Name {
        /// The file that the name came from.
        path: Option<String>,
        /// The rule.
        source: NameError,
    },
    /// A text cannot be a migration.
    #[error("{}{source}", at_text(*part, path.as_deref(), source.line()))]
    Text {
        /// The migration's name.
        name: String,
        /// Which of its texts.
        part: Direction,
        /// The file; `None` for a text that was registered.
        path: Option<String>,
        /// What is wrong.
        source: TextError,
    },
    /// A down has no up.
    #[error("file \"{path}\": migration \"{name}\" has a down and no up")]
    DownWithoutUp {
        /// The name.
        name: String,
        /// The down file.
        path: String,
    },
    /// Two files define the same text of the same migration.
    #[error("migration \"{name}\" is defined by both \"{first}\" and \"{second}\"")]
    Duplicate {
        /// The name.
        name: String,
        /// One file.
        first: String,
        /// The other file.
        second: String,
    },
    /// A subfolder holds SQL that is no migration.
    #[error("file \"{path}\" stands in a subfolder and is neither \"up.sql\" nor \"down.sql\"")]
    StraySql {
        /// The file.
        path: String,
    },
    /// `up.sql` or `down.sql` stands outside of a folder that names the migration.
    #[error("file \"{path}\" does not stand in a folder that names its migration")]
    Nameless {
        /// The file.
        path: String,
    },
}

/// The place in front of a message.
fn at_file(path: Option<&str>) -> String {
    path.map_or_else(String::new, |path| format!("file \"{path}\": "))
}

/// The place in front of a message about a text; one without a file is known as up or down.
fn at_text(part: Direction, path: Option<&str>, line: Option<u32>) -> String {
    match (path, line) {
        (None, None) => String::new(),
        (Some(_), None) => at_file(path),
        (Some(path), Some(line)) => format!("file \"{path}\", line {line}: "),
        (None, Some(line)) => format!("{part}, line {line}: "),
    }
}

impl LayoutError {
    /// The file, where the error has one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            LayoutError::NoMigrations { .. } => None,
            LayoutError::Name { path, .. } | LayoutError::Text { path, .. } => path.as_deref(),
            LayoutError::DownWithoutUp { path, .. }
            | LayoutError::StraySql { path }
            | LayoutError::Nameless { path }
            | LayoutError::Duplicate { second: path, .. } => Some(path),
        }
    }

    /// The line (1-based) in the file or text, where the error has one.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        match self {
            LayoutError::Text { source, .. } => source.line(),
            _ => None,
        }
    }

    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            LayoutError::NoMigrations { .. } => {
                "migrations are files NAME.sql, NAME.up.sql and NAME.down.sql, or NAME/up.sql and NAME/down.sql"
                    .to_owned()
            }
            LayoutError::Name { source, .. } => source.hint(),
            LayoutError::Text { source, .. } => source.hint(),
            LayoutError::DownWithoutUp { .. } => "add the up, or remove the down".to_owned(),
            LayoutError::Duplicate { .. } => "keep one of the two files".to_owned(),
            LayoutError::StraySql { .. } => {
                "give paths relative to the folder of migrations, and keep other SQL files out of it".to_owned()
            }
            LayoutError::Nameless { .. } => {
                "load the folder above it, or give the file the migration's name".to_owned()
            }
        }
    }
}
