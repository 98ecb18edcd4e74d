//! Whether a step up comes in its place, and what the policy says where it does not.
//!
//! Under the strict policy the steps must form, together with what is applied, a prefix of the registry's
//! order after each step. A step can break that in two ways: it sorts before what is applied already and no
//! review accepted it, or something that sorts before it is pending and not part of the plan. Under the
//! disjoint policy a late step runs and is judged by what it touched, where it can be taken back.

use std::collections::HashSet;

use super::PlannedStep;
use super::facts::{Entry, Facts};
use super::obstacle::Obstacle;
use crate::naming::Phase;
use crate::order::Ordering;

/// Name and key.
pub(super) type Place<'a> = (&'a str, &'a [u8]);

/// What each step up is compared with.
pub(super) struct Places<'a> {
    ordering: Ordering,
    /// What sorts last of all that is applied and stays so.
    newest: Option<Place<'a>>,
    /// What has begun to go up: applied before every other step, and by then later than any review.
    begun: Option<Place<'a>>,
    /// The first pending entry that the plan leaves out.
    left_out: Option<&'a Entry>,
}

impl<'a> Places<'a> {
    /// For a plan that goes up by `chosen` from what is applied.
    pub(super) fn going_up(
        chosen: &[&Entry],
        facts: &'a Facts,
        resumed: Option<&'a Entry>,
    ) -> Places<'a> {
        let names: HashSet<&str> = chosen.iter().map(|entry| entry.name.as_str()).collect();
        let left_out = |entry: &&Entry| !names.contains(entry.name.as_str());
        Places {
            ordering: facts.ordering,
            newest: facts.newest_applied.as_ref().map(place_of),
            begun: resumed.map(|entry| (entry.name.as_str(), entry.key.as_slice())),
            left_out: match facts.ordering {
                Ordering::Strict => facts.pending.iter().find(left_out),
                Ordering::Disjoint | Ordering::Permissive => None,
            },
        }
    }

    /// For a plan that first reverts and then applies the same again, while `newest` stays.
    pub(super) fn going_back_up(newest: Option<Place<'a>>, facts: &'a Facts) -> Places<'a> {
        Places {
            ordering: facts.ordering,
            newest,
            begun: None,
            // One that nobody accepted keeps the whole plan from running.
            left_out: facts
                .pending
                .first()
                .filter(|entry| facts.ordering == Ordering::Strict && entry.is_accepted()),
        }
    }

    /// Says what the policy says of the step.
    pub(super) fn judge(&self, step: &mut PlannedStep) {
        if self.ordering == Ordering::Permissive {
            return;
        }
        let key = step.entry.key.as_slice();
        let last = self.newest.into_iter().chain(self.begun);
        let last = last.max_by_key(|(_, key)| *key);
        let after = last.filter(|(_, newest)| key < *newest);
        let reviewed = step.entry.is_accepted() && self.begun.is_none_or(|(_, begun)| begun < key);
        let left_out = self.left_out.filter(|earlier| earlier.key.as_slice() < key);
        step.obstacle = match after {
            Some((newest, _)) if !reviewed => self.late(&step.entry, newest.to_owned()),
            _ => None,
        }
        .or_else(|| left_out.map(|earlier| left_pending(&step.entry, earlier)));
        step.late_after = match step.obstacle {
            None => after.map(|(newest, _)| newest.to_owned()),
            Some(_) => None,
        };
    }

    /// What stands in the way of a late step that nobody has reviewed.
    fn late(&self, entry: &Entry, newest: String) -> Option<Obstacle> {
        match self.ordering {
            Ordering::Strict => Some(Obstacle::Late { newest }),
            Ordering::Disjoint if !entry.up_transaction => Some(Obstacle::LateForGood { newest }),
            Ordering::Disjoint | Ordering::Permissive => None,
        }
    }
}

/// Something that sorts before a step is pending: where it is the post of an earlier release, that is
/// what a deployment stops at.
fn left_pending(step: &Entry, earlier: &Entry) -> Obstacle {
    let name = earlier.name.clone();
    match (earlier.phase, &earlier.release, &step.release) {
        (Some(Phase::Post), Some(release), Some(own)) if release.cmp_precedence(own).is_lt() => {
            Obstacle::PostPending {
                name,
                release: release.clone(),
            }
        }
        _ => Obstacle::EarlierPending { name },
    }
}

pub(super) fn place_of(place: &(String, Vec<u8>)) -> Place<'_> {
    (place.0.as_str(), place.1.as_slice())
}
