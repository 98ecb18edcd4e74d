//! Going down, and redoing.
//!
//! What was applied last goes first, whatever the names say, and never more than was asked for.

use std::collections::{HashMap, HashSet};

use super::facts::{Entry, Facts};
use super::obstacle::Obstacle;
use super::place::{Place, Places, place_of};
use super::request::{Direction, PlanError};
use super::rules::{out_of_order, unfinished, unmet_requirement};
use super::{Plan, PlannedStep};
use crate::order::Ordering;

pub(super) fn plan_down(steps: u32, facts: &Facts) -> Result<Plan, PlanError> {
    let chosen = newest(steps, facts)?;
    Ok(Plan {
        steps: revert(&chosen, facts),
        already_there: None,
    })
}

pub(super) fn plan_redo(steps: u32, facts: &Facts) -> Result<Plan, PlanError> {
    let chosen = newest(steps, facts)?;
    let mut planned = revert(&chosen, facts);
    let reverted: HashSet<&str> = chosen.iter().map(|entry| entry.name.as_str()).collect();
    let places = Places::going_back_up(newest_staying(&reverted, facts), facts);
    let mut done = HashSet::new();
    for entry in again(&chosen, facts) {
        let mut step = PlannedStep::new(entry, Direction::Up);
        places.judge(&mut step);
        step.obstacle = step
            .obstacle
            .or_else(|| unmet_requirement(entry, facts, &reverted, &done));
        done.insert(entry.name.as_str());
        planned.push(step);
    }
    Ok(Plan {
        steps: planned,
        already_there: None,
    })
}

/// What was reverted, in the order in which it is applied again: as it was, and where the order counts, in
/// the registry's, so that nothing is later than it must be.
fn again<'a>(chosen: &[&'a Entry], facts: &'a Facts) -> Vec<&'a Entry> {
    let reverted: HashSet<&str> = chosen.iter().map(|entry| entry.name.as_str()).collect();
    let original = facts.applied.iter().rev();
    let mut entries: Vec<&Entry> = original
        .filter(|entry| reverted.contains(entry.name.as_str()))
        .collect();
    if facts.ordering != Ordering::Permissive {
        entries.sort_by(|a, b| a.key.cmp(&b.key));
    }
    entries
}

pub(super) fn plan_all_down(facts: &Facts) -> Plan {
    Plan {
        steps: revert(&begun_first(&facts.applied, facts), facts),
        already_there: None,
    }
}

/// Reverts what was applied after the named migration, which is applied.
pub(super) fn plan_down_to(name: &str, facts: &Facts) -> Plan {
    let later = facts
        .applied
        .iter()
        .position(|entry| entry.name == name)
        .unwrap_or(facts.applied.len());
    let chosen = begun_first(&facts.applied[..later], facts);
    Plan {
        already_there: chosen.is_empty().then(|| name.to_owned()),
        steps: revert(&chosen, facts),
    }
}

fn newest(steps: u32, facts: &Facts) -> Result<Vec<&Entry>, PlanError> {
    if steps == 0 {
        return Err(PlanError::NoSteps);
    }
    let mut chosen = begun_first(&facts.applied, facts);
    chosen.truncate(usize::try_from(steps).unwrap_or(usize::MAX));
    Ok(chosen)
}

/// The entries, newest first, but with the one whose down has begun in front.
fn begun_first<'a>(applied: &'a [Entry], facts: &Facts) -> Vec<&'a Entry> {
    let mut entries: Vec<&Entry> = applied.iter().collect();
    if let Some(begun) = unfinished(facts, Direction::Down)
        && let Some(at) = entries.iter().position(|entry| entry.name == begun.name)
    {
        entries[..=at].rotate_right(1);
    }
    entries
}

fn revert(chosen: &[&Entry], facts: &Facts) -> Vec<PlannedStep> {
    let rules = RevertRules::new(chosen, facts);
    let begun = unfinished(facts, Direction::Down);
    let mut reverted = HashSet::new();
    let mut steps = Vec::with_capacity(chosen.len());
    for (index, entry) in chosen.iter().enumerate() {
        let mut step = PlannedStep::new(entry, Direction::Down);
        match begun.filter(|begun| begun.name == entry.name) {
            // It began under the rules; leaving it half done would be worse.
            Some(begun) => step.resume_at = Some(begun.next_statement),
            None => step.obstacle = rules.broken_by(index, entry, &reverted),
        }
        reverted.insert(entry.name.as_str());
        steps.push(step);
    }
    if let Some(first) = steps.first_mut() {
        let other = facts
            .unfinished
            .as_ref()
            .filter(|_| first.resume_at.is_none());
        let whole_plan = other.map(Obstacle::from).or_else(|| out_of_order(facts));
        first.obstacle = whole_plan.or(first.obstacle.take());
    }
    steps
}

/// What each step down is compared with.
struct RevertRules<'a> {
    facts: &'a Facts,
    chosen: HashSet<&'a str>,
    /// For each chosen name the applied migrations that require it.
    requirers: HashMap<&'a str, Vec<&'a str>>,
    /// For each half of an indivisible pair the other halves, with the steps that take both.
    pairs: HashMap<&'a str, Vec<(&'a str, u32)>>,
    /// For each step what sorts last of all that is still applied after it.
    newest_after: Vec<Option<Place<'a>>>,
}

impl<'a> RevertRules<'a> {
    fn new(chosen: &[&'a Entry], facts: &'a Facts) -> Self {
        let names: HashSet<&str> = chosen.iter().map(|entry| entry.name.as_str()).collect();
        let mut requirers: HashMap<&str, Vec<&str>> = HashMap::new();
        for (requirer, required) in &facts.applied_requirers {
            for name in required.iter().filter(|name| names.contains(name.as_str())) {
                requirers.entry(name).or_default().push(requirer);
            }
        }
        let mut pairs: HashMap<&str, Vec<(&str, u32)>> = HashMap::new();
        for pair in &facts.applied_indivisible {
            let (name, partner) = (pair.name.as_str(), pair.partner.as_str());
            let both = pair.steps_for_both;
            pairs.entry(name).or_default().push((partner, both));
            pairs.entry(partner).or_default().push((name, both));
        }
        RevertRules {
            facts,
            requirers,
            pairs,
            newest_after: newest_after(chosen, &names, facts),
            chosen: names,
        }
    }

    fn broken_by(&self, index: usize, entry: &Entry, reverted: &HashSet<&str>) -> Option<Obstacle> {
        if !self.facts.allow_down {
            return Some(Obstacle::DownsForbidden);
        }
        if !entry.reversible {
            return Some(Obstacle::NoDown);
        }
        self.required_by(entry, reverted)
            .or_else(|| self.split_pair(entry))
            .or_else(|| self.gap(index, entry))
    }

    fn required_by(&self, entry: &Entry, reverted: &HashSet<&str>) -> Option<Obstacle> {
        let requirers = self.requirers.get(entry.name.as_str())?;
        let staying = requirers
            .iter()
            .find(|name| **name != entry.name && !reverted.contains(**name))?;
        Some(Obstacle::RequiredBy {
            name: (*staying).to_owned(),
        })
    }

    fn split_pair(&self, entry: &Entry) -> Option<Obstacle> {
        let pairs = self.pairs.get(entry.name.as_str())?;
        let (partner, steps_needed) = pairs
            .iter()
            .find(|(partner, _)| !self.chosen.contains(partner))?;
        Some(Obstacle::SplitsPair {
            partner: (*partner).to_owned(),
            steps_needed: *steps_needed,
        })
    }

    fn gap(&self, index: usize, entry: &Entry) -> Option<Obstacle> {
        if self.facts.ordering != Ordering::Strict || entry.is_accepted() {
            return None;
        }
        let (newest, key) = self.newest_after.get(index).copied().flatten()?;
        (entry.key.as_slice() < key).then(|| Obstacle::LeavesGap {
            newest: newest.to_owned(),
        })
    }
}

/// For each step what sorts last of all that is still applied after it.
fn newest_after<'a>(
    chosen: &[&'a Entry],
    names: &HashSet<&str>,
    facts: &'a Facts,
) -> Vec<Option<Place<'a>>> {
    let mut newest = newest_staying(names, facts);
    let mut after = Vec::with_capacity(chosen.len());
    for entry in chosen.iter().rev() {
        after.push(newest);
        let own = (entry.name.as_str(), entry.key.as_slice());
        newest = newest.into_iter().chain([own]).max_by_key(|(_, key)| *key);
    }
    after.reverse();
    after
}

/// What sorts last of all that is applied and not among these names.
fn newest_staying<'a>(names: &HashSet<&str>, facts: &'a Facts) -> Option<Place<'a>> {
    let listed = facts
        .applied
        .iter()
        .map(|entry| (entry.name.as_str(), entry.key.as_slice()));
    let told = facts.newest_unlisted.iter().chain(&facts.newest_applied);
    listed
        .chain(told.map(place_of))
        .filter(|(name, _)| !names.contains(name))
        .max_by_key(|(_, key)| *key)
}
