//! The rules that several kinds of plan share.

use std::collections::HashSet;

use super::facts::{Entry, Facts, Standing, Unfinished};
use super::obstacle::Obstacle;
use super::request::Direction;
use crate::order::Ordering;

/// The first requirement of an entry that would not be met when its turn comes.
///
/// `reverted` are the names that the plan has taken down by then, `done` those that it has applied.
pub(super) fn unmet_requirement(
    entry: &Entry,
    facts: &Facts,
    reverted: &HashSet<&str>,
    done: &HashSet<&str>,
) -> Option<Obstacle> {
    entry.requires.iter().find_map(|name| {
        let met = done.contains(name.as_str());
        match facts.standing.get(name) {
            None => Some(Obstacle::RequirementUnknown { name: name.clone() }),
            Some(Standing::Applied) if !reverted.contains(name.as_str()) || met => None,
            Some(Standing::Pending) if met => None,
            Some(_) => Some(Obstacle::RequirementPending { name: name.clone() }),
        }
    })
}

/// The unfinished migration, if it began in this direction.
pub(super) fn unfinished(facts: &Facts, direction: Direction) -> Option<&Unfinished> {
    facts
        .unfinished
        .as_ref()
        .filter(|unfinished| unfinished.direction == direction)
}

impl From<&Unfinished> for Obstacle {
    fn from(unfinished: &Unfinished) -> Self {
        Obstacle::Unfinished {
            name: unfinished.name.clone(),
            direction: unfinished.direction,
            next_statement: unfinished.next_statement,
        }
    }
}

/// Strict: a pending migration that sorts before an applied one, and that no review accepted.
pub(super) fn out_of_order(facts: &Facts) -> Option<Obstacle> {
    if facts.ordering != Ordering::Strict {
        return None;
    }
    let (newest, key) = facts.newest_applied.as_ref()?;
    // Pending is in key order: the late ones come first.
    let mut late = facts.pending.iter().take_while(|entry| entry.key < *key);
    let first = late.find(|entry| !entry.is_accepted())?;
    Some(Obstacle::OutOfOrder {
        late: first.name.clone(),
        newest: newest.clone(),
    })
}
