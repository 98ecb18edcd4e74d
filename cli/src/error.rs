//! Why nothing can be said.

use std::io;
use std::path::PathBuf;

use belay_core::check::{CheckError, ScratchError};

/// What ends the program with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory or a file.
    #[error("{}: {source}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A name that no migration can have.
    #[error("{}: the file's name is not UTF-8", path.display())]
    NotUtf8 {
        /// Its path.
        path: PathBuf,
    },
    /// The two sides.
    #[error("{0}")]
    Check(#[from] CheckError),
    /// The file of footprints is no JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file of footprints holds other JSON.
    #[error("{}: {source}", path.display())]
    Footprints {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        source: ScratchError,
    },
    /// What was found cannot be told.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

impl Error {
    /// The next action.
    pub fn hint(&self) -> String {
        const FOOTPRINTS: &str =
            "psql -XAt -c 'SELECT belay.footprints()' in the database of the scratch run writes it";
        match self {
            Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "give the folders of migrations as they are in both branches; an empty one is a branch that has none yet"
                    .to_owned()
            }
            Error::Read { .. } => "give folders and files that can be read".to_owned(),
            Error::NotUtf8 { .. } => "rename the file; its name is the migration's".to_owned(),
            Error::Check(source) => source.hint(),
            Error::Json { .. } | Error::Footprints { .. } => FOOTPRINTS.to_owned(),
            Error::Write(_) => "look at where the output goes".to_owned(),
        }
    }
}
