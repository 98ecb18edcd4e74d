//! What a load did, in notices and in rows.

use super::OnMissing;
use super::difference::Difference;
use crate::jobs::register::{Loaded, Outcome};
use crate::ledger::registry::NewMigration;
use crate::pg::client;

/// One thing a load did.
#[derive(Debug)]
pub struct Change {
    /// The migration.
    pub name: String,
    /// `added`, `replaced`, `pruned`, `reverted`, `missing` or `ahead`.
    pub action: &'static str,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// The notices of a load.
pub(super) fn tell(difference: &Difference) {
    let counts = [
        (difference.add.len(), "added"),
        (difference.replace.len(), "replaced"),
        (difference.prune.len(), "pruned"),
        (difference.unchanged, "unchanged"),
    ];
    let words: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if !words.is_empty() {
        client::notice(words.join(", "));
    }
    if !difference.ahead.is_empty() {
        client::notice_with_hint(
            format!(
                "ahead of this set and kept: {}",
                difference.ahead.join(", ")
            ),
            "another instance of the application is newer; nothing is wrong in a rolling deployment",
        );
    }
}

/// The rows of a load.
pub(super) fn changes(on_missing: OnMissing, difference: Difference) -> Vec<Change> {
    let mut out = Vec::new();
    let mut add = |names: Vec<String>, action: &'static str, detail: Option<&str>| {
        out.extend(names.into_iter().map(|name| Change {
            name,
            action,
            detail: detail.map(str::to_owned),
        }));
    };
    let names = |new: Vec<NewMigration>| new.into_iter().map(|new| new.name).collect::<Vec<_>>();
    add(names(difference.add), "added", None);
    add(
        names(difference.replace),
        "replaced",
        Some("it was pending with another definition"),
    );
    add(
        difference.prune,
        "pruned",
        Some("it was pending and is not in this set"),
    );
    let (action, detail) = match on_missing {
        OnMissing::Revert => ("reverted", "it is not in this set"),
        _ => ("missing", "it is applied and not in this set"),
    };
    add(difference.missing, action, Some(detail));
    add(
        difference.ahead,
        "ahead",
        Some("it is applied and newer than this set"),
    );
    out
}

/// The rows of a load's jobs.
pub(super) fn job_changes(loaded: Loaded) -> Vec<Change> {
    let row = |name: String, action, detail: &str| Change {
        name,
        action,
        detail: Some(detail.to_owned()),
    };
    let changed = loaded
        .changed
        .into_iter()
        .map(|(name, outcome)| match outcome {
            Outcome::Added => row(name, "added", "a job"),
            Outcome::Replaced | Outcome::Unchanged => row(name, "replaced", "a job"),
        });
    let missing = loaded
        .missing
        .into_iter()
        .map(|name| row(name, "missing", "a job that is not in this set"));
    changed.chain(missing).collect()
}
