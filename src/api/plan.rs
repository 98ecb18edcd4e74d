//! Look before the leap: `migrate_plan` shows, `migrate_check` raises.

use belay_core::plan::{PlannedStep, Request};
use pgrx::iter::TableIterator;
use pgrx::pg_extern;

use super::verbs::{down_request, redo_request, to_request, up_request};
use super::{required, word};
use crate::engine::gate::Look;
use crate::engine::planning::{self, Planned};
use crate::error::{Code, Failure, Result, entry};
use crate::ledger::Ledger;
use crate::ledger::project::{self, Project};

/// The request of a verb; refuses arguments that the verb does not take.
fn request(
    verb: &str,
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>,
) -> Result<Request> {
    let foreign: &[(&str, bool)] = match verb {
        "down" | "redo" => &[
            ("target", target.is_some()),
            ("phase", phase.is_some()),
            ("release", release.is_some()),
        ],
        "to" => &[
            ("steps", steps.is_some()),
            ("phase", phase.is_some()),
            ("release", release.is_some()),
        ],
        _ => &[],
    };
    if let Some((argument, _)) = foreign.iter().find(|(_, given)| *given) {
        return Err(Failure::new(
            Code::InvalidParameter,
            format!("verb => '{verb}' takes no {argument}"),
            format!("leave {argument} out; migrate_{verb} does not have it either"),
        ));
    }
    match verb {
        "up" => up_request(target, steps, phase, release),
        "down" => down_request(Some(steps.unwrap_or(1))),
        "redo" => redo_request(Some(steps.unwrap_or(1))),
        "to" => to_request(target),
        other => Err(Failure::new(
            Code::InvalidParameter,
            format!("verb => '{other}' is not known"),
            "use 'up', 'down', 'to' or 'redo'",
        )),
    }
}

/// A plan, and who is connected where it has a post.
struct Seen {
    project: Project,
    planned: Planned,
    ledger: Ledger,
}

impl Seen {
    fn look(&self) -> Result<Option<Look<'_>>> {
        Look::for_plan(&self.ledger, &self.project, &self.planned.plan)
    }
}

/// The plan; `None` for the project `default` that nobody has used yet.
fn plan(
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>,
    ordering: Option<&str>,
    verb: Option<&str>,
    project: Option<&str>,
) -> Result<Option<Seen>> {
    let ledger = Ledger::open()?;
    let name = required(project, "project")?;
    let request = request(required(verb, "verb")?, target, steps, phase, release)?;
    let ordering = word(ordering, "ordering", "'strict', 'disjoint' or 'permissive'")?;
    if name == project::DEFAULT && ledger.find_project(name)?.is_none() {
        return Ok(None);
    }
    let project = ledger.project(name)?;
    let ordering = ordering.unwrap_or(project.ordering);
    let planned = planning::make(&ledger, &project, &request, ordering)?;
    Ok(Some(Seen {
        project,
        planned,
        ledger,
    }))
}

/// The columns of belay.plan_step: step, name, direction, transactional, release, phase,
/// resume_at, blocked_by, sqlstate, hint.
type PlanRow = (
    i32,
    String,
    String,
    bool,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
);

type PlanRows = TableIterator<'static, PlanRow>;

/// Why a step may not run: what, its SQLSTATE, and what to do.
type Blocked = (String, String, String);

fn blocked(step: &PlannedStep, look: Option<&Look<'_>>, project: &Project) -> Option<Blocked> {
    let Some(obstacle) = &step.obstacle else {
        let shut = look?.shut(step)?;
        let state = Code::Gate.sqlstate().to_owned();
        return Some((shut.message(), state, shut.hint(project)));
    };
    let state = planning::code_of(obstacle).sqlstate().to_owned();
    let hint = obstacle.hint(step, &project.name);
    Some((obstacle.message(step), state, hint))
}

fn row(number: usize, step: &PlannedStep, seen: &Seen, look: Option<&Look<'_>>) -> PlanRow {
    let entry = &step.entry;
    let (blocked_by, sqlstate, hint) = blocked(step, look, &seen.project)
        .map_or((None, None, None), |(what, state, hint)| {
            (Some(what), Some(state), Some(hint))
        });
    (
        i32::try_from(number + 1).unwrap_or(i32::MAX),
        entry.name.clone(),
        step.direction.to_string(),
        seen.planned.is_transactional(step),
        entry.release.as_ref().map(ToString::to_string),
        entry.phase.map(|phase| phase.to_string()),
        step.resume_at
            .and_then(|statement| i32::try_from(statement).ok()),
        blocked_by,
        sqlstate,
        hint,
    )
}

#[pg_extern(sql = false)]
fn migrate_plan(
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>,
    ordering: Option<&str>,
    verb: Option<&str>,
    project: Option<&str>,
) -> PlanRows {
    let rows = entry(|| {
        let seen = plan(target, steps, phase, release, ordering, verb, project)?;
        let Some(seen) = seen else {
            return Ok(Vec::new());
        };
        let look = seen.look()?;
        let steps = seen.planned.plan.steps.iter().enumerate();
        Ok(steps
            .map(|(number, step)| row(number, step, &seen, look.as_ref()))
            .collect())
    });
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn migrate_check(
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>,
    ordering: Option<&str>,
    verb: Option<&str>,
    project: Option<&str>,
) -> i32 {
    entry(|| {
        let seen = plan(target, steps, phase, release, ordering, verb, project)?;
        let Some(seen) = seen else {
            return Ok(0);
        };
        let (planned, project) = (&seen.planned, &seen.project);
        if planned.plan.steps.is_empty() {
            planning::refuse_unfinished(planned, project)?;
        }
        planning::refuse_obstacles(&planned.plan, project)?;
        let shut = seen.look()?.and_then(|look| look.first_shut(&planned.plan));
        if let Some(shut) = shut {
            return Err(shut.failure(project));
        }
        Ok(i32::try_from(planned.plan.steps.len()).unwrap_or(i32::MAX))
    })
}
