//! Look before the leap: `migrate_plan` shows, `migrate_check` raises.

use belay_core::plan::{PlannedStep, Request};
use pgrx::iter::TableIterator;
use pgrx::pg_extern;

use super::verbs::{down_request, redo_request, to_request, up_request};
use super::{required, word};
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

/// The plan; `None` for the project `default` that nobody has used yet.
fn plan(
    target: Option<&str>,
    steps: Option<i32>,
    phase: Option<&str>,
    release: Option<&str>,
    ordering: Option<&str>,
    verb: Option<&str>,
    project: Option<&str>,
) -> Result<Option<(Project, Planned)>> {
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
    Ok(Some((project, planned)))
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

fn row(number: usize, step: &PlannedStep, planned: &Planned, project: &Project) -> PlanRow {
    let entry = &step.entry;
    let blocked = step.obstacle.as_ref();
    (
        i32::try_from(number + 1).unwrap_or(i32::MAX),
        entry.name.clone(),
        step.direction.to_string(),
        planned.is_transactional(step),
        entry.release.as_ref().map(ToString::to_string),
        entry.phase.map(|phase| phase.to_string()),
        step.resume_at
            .and_then(|statement| i32::try_from(statement).ok()),
        blocked.map(|obstacle| obstacle.message(step)),
        blocked.map(|obstacle| planning::code_of(obstacle).sqlstate().to_owned()),
        blocked.map(|obstacle| obstacle.hint(step, &project.name)),
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
        let planned = plan(target, steps, phase, release, ordering, verb, project)?;
        Ok(planned.map_or_else(Vec::new, |(project, planned)| {
            let steps = planned.plan.steps.iter().enumerate();
            steps
                .map(|(number, step)| row(number, step, &planned, &project))
                .collect()
        }))
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
        let planned = plan(target, steps, phase, release, ordering, verb, project)?;
        let Some((project, planned)) = planned else {
            return Ok(0);
        };
        if planned.plan.steps.is_empty() {
            planning::refuse_unfinished(&planned, &project)?;
        }
        planning::refuse_obstacles(&planned.plan, &project)?;
        Ok(i32::try_from(planned.plan.steps.len()).unwrap_or(i32::MAX))
    })
}
