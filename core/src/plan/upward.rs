//! Going up.
//!
//! That a step comes in its place is asked of [`super::place`]. Something pending is left out of a plan only
//! where a phase or a release does so: within one release `pre` sorts before `post`, so that asking for the
//! `pre` of a release is a prefix, and the `post` of an older release stops a later `pre`.

use std::collections::HashSet;

use semver::Version;

use super::facts::{Entry, Facts, Standing};
use super::place::Places;
use super::request::{Direction, NONE_TARGET, PlanError, standing_of};
use super::rules::{unfinished, unmet_requirement};
use super::{Plan, PlannedStep};
use crate::naming::Phase;

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
    let places = Places::going_up(chosen, facts, resumed);
    let nothing = HashSet::new();
    let mut done = HashSet::new();
    let mut steps = Vec::with_capacity(chosen.len());
    for entry in chosen {
        let mut step = PlannedStep::new(entry, Direction::Up);
        if resumed.is_some_and(|begun| begun.name == entry.name) {
            // It began under the rules; leaving it half done would be worse than any order.
            step.resume_at = unfinished(facts, Direction::Up).map(|begun| begun.next_statement);
        } else {
            places.judge(&mut step);
            step.obstacle = step
                .obstacle
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
