//! Objects whose names carry a version, as `fetch_job_v2`, are never replaced: the next version stands beside them.

mod versioned_name;
mod versioned_replace;

use super::change::{Change, Found, differing, labels, text};
use super::rule::Rule;
use crate::snapshot::{Definition, Kind};

pub(super) const RULES: [Rule; 2] = [versioned_name::RULE, versioned_replace::RULE];

/// The kinds that the project gives versions.
fn kinds(change: &Change<'_>) -> impl Iterator<Item = Kind> {
    let kinds = [Kind::Function, Kind::Trigger, Kind::Type];
    kinds
        .into_iter()
        .filter(|kind| change.versioned.iter().any(|word| word == kind.word()))
}

/// Whether what has changed makes it another object: not what is for the planner, when a trigger fires, or a new label.
fn is_replaced(kind: Kind, old: &Definition, new: &Definition) -> bool {
    match kind {
        Kind::Trigger => !differing(old, new, &["definition", "function"]).is_empty(),
        Kind::Type if text(old, "kind") == Some("enum") => {
            let now = labels(new);
            text(new, "kind") != Some("enum")
                || !labels(old).iter().all(|label| now.contains(label))
        }
        Kind::Function => {
            let planners = ["cost", "rows", "support"];
            let all = old.keys().chain(new.keys());
            all.filter(|attribute| !planners.contains(&attribute.as_str()))
                .any(|attribute| old.get(attribute) != new.get(attribute))
        }
        _ => true,
    }
}
