//! Sides that cannot be compared.

use semver::Version;

use super::Side;
use crate::checksum::ChecksumError;
use crate::layout::LayoutError;
use crate::naming::Naming;

/// Why nothing can be said about the two sides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A side cannot be read as migrations.
    #[error("{side}: {source}")]
    Files {
        /// Which.
        side: Side,
        /// What is wrong with it.
        source: LayoutError,
    },
    /// A text has no checksum.
    #[error("{side}: migration \"{name}\", {source}")]
    Checksum {
        /// Which side.
        side: Side,
        /// The migration.
        name: String,
        /// What is wrong with it.
        source: ChecksumError,
    },
    /// Neither side has a migration.
    #[error("neither base nor head has a migration")]
    Empty,
    /// A release is asked for and names have none.
    #[error("a release is given, but the naming is \"{naming}\"")]
    NoReleases {
        /// The naming.
        naming: Naming,
    },
    /// A name of the release that is asked for cannot sort after the newest.
    #[error("release {release} is older than {newest}, the release of the newest migration")]
    OldRelease {
        /// The one asked for.
        release: Version,
        /// That of the newest.
        newest: Version,
    },
}

impl CheckError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            CheckError::Files { source, .. } => source.hint(),
            CheckError::Checksum { source, .. } => source.hint(),
            CheckError::Empty => {
                "give the folders of migrations; one of the two may be empty".to_owned()
            }
            CheckError::NoReleases { .. } => {
                "leave the release out, or say that the naming is release".to_owned()
            }
            CheckError::OldRelease { newest, .. } => {
                format!("ask for {newest} or a later one, or leave the release out")
            }
        }
    }
}
