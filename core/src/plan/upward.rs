//! Going up.
//!
//! Under the strict policy the steps must form, together with what is applied, a prefix of the registry's
//! order after each step. A step can break that in two ways: it sorts before what is applied already, or
//! something that sorts before it is pending and not part of the plan. The second happens only where a
//! phase or a release leaves entries out: within one release `pre` sorts before `post`, so that asking for
//! the `pre` of a release is a prefix, and the `post` of an older release stops a later `pre`.

use std::collections::HashSet;

use semver::Version;

use super::facts::{Entry, Facts, Standing};
use super::obstacle::Obstacle;
use super::request::{Direction, NONE_TARGET, PlanError, standing_of};
use super::rules::{unfinished, unmet_requirement};
use super::{Plan, PlannedStep};
use crate::naming::Phase;
use crate::order::Ordering;

/// What narrows an up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Selection<'a> {
    pub(super) target: Option<&'a str>,
    pub(super) steps: Option<u32>,
    pub(super) phase: Option<Phase>,
    pub(super) release: Option<&'a Version>,
}

pub(super) fn plan_up(selection: &Selection<'_>, facts: &Facts) -> Result<Plan, PlanError> {
    if selection.steps == Some(0) {
        return Err(PlanError::NoSteps);
    }
    if let Some(target) = selection.target {
        if target == NONE_TARGET {
            return Err(PlanError::NoneIsNotUp);
        }
        if standing_of(target, facts)? == Standing::Applied {
            return Ok(Plan {
                steps: Vec::new(),
                already_there: Some(target.to_owned()),
            });
        }
    }
    let resumed = unfinished(facts, Direction::Up)
        .and_then(|begun| facts.pending.iter().find(|entry| entry.name == begun.name));
    let chosen = choose(selection, facts, resumed)?;
    Ok(Plan {
        steps: judge(&chosen, facts, resumed),
        already_there: None,
    })
}

/// The entries of the plan in the order in which they run: what has begun first, the rest in key order.
fn choose<'a>(
    selection: &Selection<'_>,
    facts: &'a Facts,
    resumed: Option<&'a Entry>,
) -> Result<Vec<&'a Entry>, PlanError> {
    let mut chosen: Vec<&Entry> = resumed.into_iter().collect();
    for entry in through_target(&facts.pending, selection.target)? {
        if is_selected(selection, entry)? && resumed.is_none_or(|begun| begun.name != entry.name) {
            chosen.push(entry);
        }
    }
    if let Some(steps) = selection.steps {
        chosen.truncate(usize::try_from(steps).unwrap_or(usize::MAX));
    }
    Ok(chosen)
}

fn through_target<'a>(
    pending: &'a [Entry],
    target: Option<&str>,
) -> Result<&'a [Entry], PlanError> {
    let Some(target) = target else {
        return Ok(pending);
    };
    match pending.iter().position(|entry| entry.name == target) {
        Some(last) => Ok(&pending[..=last]),
        None => Err(PlanError::UnknownTarget {
            name: target.to_owned(),
        }),
    }
}

fn is_selected(selection: &Selection<'_>, entry: &Entry) -> Result<bool, PlanError> {
    let missing = || PlanError::NoReleases {
        name: entry.name.clone(),
    };
    if let Some(wanted) = selection.phase
        && entry.phase.ok_or_else(missing)? != wanted
    {
        return Ok(false);
    }
    if let Some(wanted) = selection.release {
        let release = entry.release.as_ref().ok_or_else(missing)?;
        return Ok(release.cmp_precedence(wanted).is_le());
    }
    Ok(true)
}

fn judge(chosen: &[&Entry], facts: &Facts, resumed: Option<&Entry>) -> Vec<PlannedStep> {
    let order = StrictOrder::new(chosen, facts, resumed);
    let nothing = HashSet::new();
    let mut done = HashSet::new();
    let mut steps = Vec::with_capacity(chosen.len());
    for entry in chosen {
        let mut step = PlannedStep::new(entry, Direction::Up);
        if resumed.is_some_and(|begun| begun.name == entry.name) {
            // It began under the rules; leaving it half done would be worse than any order.
            step.resume_at = unfinished(facts, Direction::Up).map(|begun| begun.next_statement);
        } else {
            step.obstacle = order
                .as_ref()
                .and_then(|order| order.broken_by(entry))
                .or_else(|| unmet_requirement(entry, facts, &nothing, &done));
        }
        done.insert(entry.name.as_str());
        steps.push(step);
    }
    if let (Some(begun), Some(first)) = (unfinished(facts, Direction::Down), steps.first_mut()) {
        first.obstacle = Some(begun.into());
    }
    steps
}

/// What the strict policy compares each step with.
struct StrictOrder<'a> {
    /// What sorts last of all that is applied or has begun.
    newest: Option<(&'a str, &'a [u8])>,
    /// The first pending entry that the plan leaves out.
    left_out: Option<&'a Entry>,
}

impl<'a> StrictOrder<'a> {
    fn new(
        chosen: &[&Entry],
        facts: &'a Facts,
        resumed: Option<&'a Entry>,
    ) -> Option<StrictOrder<'a>> {
        if facts.ordering != Ordering::Strict {
            return None;
        }
        let applied = facts.newest_applied.as_ref();
        let names: HashSet<&str> = chosen.iter().map(|entry| entry.name.as_str()).collect();
        Some(StrictOrder {
            newest: applied
                .map(|(name, key)| (name.as_str(), key.as_slice()))
                .into_iter()
                .chain(resumed.map(|entry| (entry.name.as_str(), entry.key.as_slice())))
                .max_by_key(|(_, key)| *key),
            left_out: facts
                .pending
                .iter()
                .find(|entry| !names.contains(entry.name.as_str())),
        })
    }

    fn broken_by(&self, entry: &Entry) -> Option<Obstacle> {
        if let Some((newest, key)) = self.newest
            && entry.key.as_slice() < key
        {
            return Some(Obstacle::Late {
                newest: newest.to_owned(),
            });
        }
        self.left_out
            .filter(|earlier| earlier.key < entry.key)
            .map(|earlier| Obstacle::EarlierPending {
                name: earlier.name.clone(),
            })
    }
}
