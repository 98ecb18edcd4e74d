//! What each client means for the post of a release.

use semver::Version;

use super::{Source, UnknownClients};

/// What a client shows of the code that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// This release of the project.
    Release(Version),
    /// Nothing that the project's pattern reads.
    Nothing,
    /// A release of another project.
    OtherProject,
}

/// What a client means for a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It runs an older release: it keeps the gate shut.
    Older,
    /// It runs the post's release, or a later one.
    Fine,
    /// It shows no release.
    Unknown,
    /// It is none of this project's.
    Foreign,
}

/// The project's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How clients are known.
    pub source: Source,
    /// What those mean that show no release.
    pub unknown: UnknownClients,
}

/// What the gate says, as places in the list of clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// Those that run an older release.
    pub older: Vec<usize>,
    /// Those that show none.
    pub unknown: Vec<usize>,
    /// Whether the post may run.
    pub open: bool,
}

impl Shown {
    /// What it means for the post of a release.
    #[must_use]
    pub fn standing(&self, post_of: &Version) -> Standing {
        match self {
            Shown::Release(release) if release.cmp_precedence(post_of).is_lt() => Standing::Older,
            Shown::Release(_) => Standing::Fine,
            Shown::Nothing => Standing::Unknown,
            Shown::OtherProject => Standing::Foreign,
        }
    }
}

/// Judges the clients that are there. Where only check-ins count, `clients` holds nothing else, and none
/// at all shuts the gate: nobody has said anything yet.
#[must_use]
pub fn judge(post_of: &Version, clients: &[&Shown], rules: Rules) -> Judgement {
    let mut judgement = Judgement::default();
    for (place, shown) in clients.iter().enumerate() {
        match shown.standing(post_of) {
            Standing::Older => judgement.older.push(place),
            Standing::Unknown => judgement.unknown.push(place),
            Standing::Fine | Standing::Foreign => {}
        }
    }
    let refused = rules.unknown == UnknownClients::Refuse && !judgement.unknown.is_empty();
    let silent = rules.source == Source::Checkin && clients.is_empty();
    judgement.open = judgement.older.is_empty() && !refused && !silent;
    judgement
}
