//! One look: is it there, can it still come, and who is at it.

mod requested;

use std::cmp::min;

use belay_core::order::Ordering;
use belay_core::plan::{Obstacle, Plan, Request};

use super::Wait;
use crate::engine::{contention, planning};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::{DEFAULT, Project};
use crate::pg::transaction;

/// How many migrations an error lists.
const LISTED: usize = 20;

/// What is not there yet.
pub enum Lack {
    /// These migrations, in order, are not in force or half reverted.
    Migrations(Ledger, Box<Project>, Vec<String>),
    /// This run has not ended.
    Run(Ledger, Box<Project>, String),
    /// A standby: what the error says may only not have been replayed.
    Replay(Box<Failure>),
}

/// What the error at the end of a wait tells.
pub struct Told {
    /// For the detail.
    pub facts: Vec<String>,
    /// The next action.
    pub hint: String,
}

/// Looks; `None`: everything that was asked for is there. An error: it cannot come by waiting.
pub fn look(asked: &Wait) -> Result<Option<Lack>> {
    match lacking(asked) {
        Err(Failure::Own(error)) if transaction::is_standby() && may_be_replayed(error.code) => {
            Ok(Some(Lack::Replay(Box::new(Failure::Own(error)))))
        }
        result => result,
    }
}

fn may_be_replayed(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::Late | Code::Requirement)
}

fn lacking(asked: &Wait) -> Result<Option<Lack>> {
    let ledger = Ledger::open()?;
    let narrowed = asked.target.is_some() || asked.release.is_some() || asked.run.is_some();
    if asked.project == DEFAULT && !narrowed && ledger.find_project(DEFAULT)?.is_none() {
        return Ok(None);
    }
    let project = ledger.project(&asked.project)?;
    if let Some(run) = asked.run {
        if let Some(what) = unended(&ledger, &project, run)? {
            return Ok(Some(Lack::Run(ledger, Box::new(project), what)));
        }
        if asked.is_for_run_alone() {
            return Ok(None);
        }
    }
    let names = migrations(&ledger, &project, asked)?;
    Ok(match names.is_empty() {
        true => None,
        false => Some(Lack::Migrations(ledger, Box::new(project), names)),
    })
}

/// What is going on where the run has not ended; refuses one that did not succeed.
fn unended(ledger: &Ledger, project: &Project, run: i64) -> Result<Option<String>> {
    let look = || transaction::as_of_now(|| ledger.run_standing(run));
    let Some(mut found) = look()? else {
        return requested::unended(ledger, project, run);
    };
    refuse_other_project(project, run, &found.project)?;
    let is_open = found.outcome.is_none();
    // A standby does not see the sessions of its primary.
    let is_alive = is_open
        && (transaction::is_standby()
            || transaction::as_of_now(|| ledger.is_at_run(project, run))?);
    if is_open && !is_alive {
        // It may have ended since the first look: see `is_at_run`.
        found = look()?.unwrap_or(found);
    }
    match found.outcome.as_deref() {
        Some("succeeded") => Ok(None),
        None if is_alive => Ok(Some(format!("run {run} ({}) has not ended", found.verb))),
        outcome => Err(Failure::new(
            Code::RunFailed,
            match outcome {
                Some("failed") => format!("run {run} ({}) has failed", found.verb),
                _ => format!("run {run} ({}) was lost: its session died", found.verb),
            },
            format!(
                "SELECT * FROM belay.migrate_history(of_run => {run}{}) shows what it did; then wait for the next run",
                match project.name.as_str() {
                    DEFAULT => String::new(),
                    name => format!(", project => {}", pgrx::spi::quote_literal(name)),
                }
            ),
        )),
    }
}

fn refuse_other_project(project: &Project, run: i64, of: &str) -> Result<()> {
    match of == project.name {
        true => Ok(()),
        false => Err(Failure::new(
            Code::InvalidParameter,
            format!("run {run} is one of project \"{of}\""),
            format!("pass project => {}", pgrx::spi::quote_literal(of)),
        )),
    }
}

/// The migrations up to what is asked for that are not in force, or begin to be no longer.
fn migrations(ledger: &Ledger, project: &Project, asked: &Wait) -> Result<Vec<String>> {
    // A run that was loosened applies what the project's policy calls late.
    let mut ordering = project.ordering;
    for looser in [Ordering::Disjoint, Ordering::Permissive] {
        if looser.loosens(ordering) && ledger.is_run_under(project, looser)? {
            ordering = looser;
        }
    }
    // What a run applies between two queries would look late; what is unregistered, in force.
    let (last, mut planned) = transaction::under_one_snapshot(|| {
        let last = last_asked_for(ledger, project, asked)?;
        let planned = planning::make(ledger, project, &Request::LATEST, ordering)?;
        Ok((last, planned))
    })?;
    let counts = |key: &[u8]| last.as_deref().is_none_or(|last| key <= last);
    let mut steps = std::mem::take(&mut planned.plan.steps);
    steps.retain(|step| counts(&step.entry.key));
    let mut names: Vec<String> = steps.iter().map(|step| step.entry.name.clone()).collect();
    steps.retain(|step| step.obstacle.as_ref().is_some_and(is_hopeless));
    let hopeless = Plan {
        steps,
        ..Plan::default()
    };
    planning::refuse_obstacles(&hopeless, project)?;
    if let Some(unfinished) = planned.gathered.facts.unfinished
        && !names.contains(&unfinished.name)
        && ledger
            .place_of(project, &unfinished.name)?
            .is_some_and(|key| counts(&key))
    {
        names.push(unfinished.name);
    }
    Ok(names)
}

/// Whether no run will come past it, whoever runs: somebody has to decide.
fn is_hopeless(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::Late { .. } | Obstacle::LateForGood { .. } | Obstacle::RequirementUnknown { .. }
    )
}

/// The place of the last migration that is asked for; `None`: of all.
fn last_asked_for(ledger: &Ledger, project: &Project, asked: &Wait) -> Result<Option<Vec<u8>>> {
    let mut last = None;
    if let Some(target) = &asked.target {
        let place = ledger.place_of(project, target)?.ok_or_else(|| {
            Failure::new(
                Code::Unknown,
                format!("migration \"{target}\" is not registered"),
                "SELECT name, state FROM belay.migrate_status() lists what is registered",
            )
        })?;
        last = Some(place);
    }
    if let Some(release) = &asked.release {
        let request = Request::Up {
            target: None,
            steps: None,
            phase: None,
            release: Some(release.clone()),
        };
        planning::refuse_without_releases(project, &request)?;
        let place = ledger
            .end_of_release(project, &release.to_string())?
            .ok_or_else(|| {
                Failure::new(
                    Code::Unknown,
                    format!(
                        "no migration of project \"{}\" belongs to release \"{release}\"",
                        project.name
                    ),
                    "name the last release that has migrations; \
                     SELECT name, release FROM belay.migrate_status() shows them",
                )
            })?;
        last = Some(last.map_or(place.clone(), |last| min(last, place)));
    }
    Ok(last)
}

impl Lack {
    /// Why there is something to wait for, in one line.
    pub fn reason(&self) -> Result<String> {
        if let Some(holder) = self.holder()? {
            return Ok(holder);
        }
        Ok(match self {
            Lack::Migrations(_, _, names) => match names.as_slice() {
                [name] => format!("migration \"{name}\" is not in force"),
                [first, ..] => format!(
                    "{} migrations are not in force, the first is \"{first}\"",
                    names.len()
                ),
                [] => "nothing is lacking".to_owned(),
            },
            Lack::Run(_, _, what) => what.clone(),
            Lack::Replay(failure) => format!("on this standby {failure}"),
        })
    }

    /// Who runs now, in words.
    fn holder(&self) -> Result<Option<String>> {
        let (Lack::Migrations(ledger, project, _) | Lack::Run(ledger, project, _)) = self else {
            return Ok(None);
        };
        let holder = ledger.lock_holder(project)?;
        Ok(holder.map(|holder| contention::described(Some(&holder)).to_owned()))
    }

    /// What is lacking, migration by migration, and what to do about it.
    pub fn told(&self) -> Result<Told> {
        let holder = self.holder()?;
        let mut next = None;
        let mut facts: Vec<String> = holder.iter().cloned().collect();
        match self {
            Lack::Migrations(ledger, project, names) => {
                let listed = names.iter().take(LISTED).cloned().collect();
                for one in ledger.standings(project, listed)? {
                    let detail = one.detail.map_or(String::new(), |text| format!(": {text}"));
                    facts.push(format!("\"{}\" is {}{detail}", one.name, one.state));
                    next = next.or(one.next_command);
                }
                if names.len() > LISTED {
                    facts.push(format!("and {} more", names.len() - LISTED));
                }
            }
            Lack::Run(_, _, what) => facts.push(what.clone()),
            Lack::Replay(failure) => facts.push(failure.to_string()),
        }
        let hint = match next {
            _ if transaction::is_standby() => {
                "look at the primary and at this standby's replay, or wait longer: wait => '15 min'"
                    .to_owned()
            }
            Some(next) if holder.is_none() => format!("{next}; or wait longer: wait => '15 min'"),
            _ => "wait longer: wait => '15 min'".to_owned(),
        };
        Ok(Told { facts, hint })
    }
}
