//! The planner: which migrations a request runs, in which direction and order, and why not.
//!
//! A pure function of a [`Request`] and the [`Facts`] the caller read. What stands in the way of a
//! step is data ([`Obstacle`]), so that a plan can be shown as well as refused; the caller refuses the
//! whole plan if any step has one. The catalog enforces the ordering policy again, for good.

mod facts;
mod message;
mod next_name;
mod obstacle;
mod place;
mod request;
mod revert;
mod rules;
mod upward;

#[cfg(test)]
mod tests;

pub use facts::{Acceptance, AppliedPair, Entry, Facts, Standing, Unfinished};
pub use next_name::NextNames;
pub use obstacle::Obstacle;
pub use request::{AppliedWanted, Direction, NONE_TARGET, PlanError, Request, Target};

/// What a request would do, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps in the order in which they would run.
    pub steps: Vec<PlannedStep>,
    /// The target, where it is applied already and there is nothing left to do for it.
    pub already_there: Option<String>,
}

/// One migration in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// The migration.
    pub entry: Entry,
    /// Up or down.
    pub direction: Direction,
    /// The statement (1-based) at which an unfinished migration goes on.
    pub resume_at: Option<u32>,
    /// Why the step may not run.
    pub obstacle: Option<Obstacle>,
    /// Going up out of order, where the policy or a review allows that: the applied migration that sorts last.
    pub late_after: Option<String>,
    /// A name under which the late migration that the obstacle is about would come last.
    pub rename_to: Option<String>,
}

impl PlannedStep {
    fn new(entry: &Entry, direction: Direction) -> Self {
        PlannedStep {
            entry: entry.clone(),
            direction,
            resume_at: None,
            obstacle: None,
            late_after: None,
            rename_to: None,
        }
    }
}

impl Plan {
    /// The first step that may not run, with the reason.
    #[must_use]
    pub fn first_obstacle(&self) -> Option<(&PlannedStep, &Obstacle)> {
        self.steps
            .iter()
            .find_map(|step| step.obstacle.as_ref().map(|obstacle| (step, obstacle)))
    }
}

/// Plans a request.
///
/// Takes time in the size of the facts, never of the registry: with nothing pending, an up plan is
/// made in constant time however much is applied.
///
/// # Errors
///
/// [`PlanError`] where the request itself makes no sense: an unknown or empty target, no steps, a phase
/// or release asked of migrations that have none. Policy is never an error here.
pub fn plan(request: &Request, facts: &Facts) -> Result<Plan, PlanError> {
    let mut plan = plan_steps(request, facts)?;
    next_name::suggest(&mut plan, facts);
    Ok(plan)
}

fn plan_steps(request: &Request, facts: &Facts) -> Result<Plan, PlanError> {
    match request {
        Request::Up {
            target,
            steps,
            phase,
            release,
        } => upward::plan_up(
            &upward::Selection {
                target: target.as_deref(),
                steps: *steps,
                phase: *phase,
                release: release.as_ref(),
            },
            facts,
        ),
        Request::Down { steps } => revert::plan_down(*steps, facts),
        Request::Redo { steps } => revert::plan_redo(*steps, facts),
        Request::To { target } => match target {
            Target::None => Ok(revert::plan_all_down(facts)),
            Target::Name(name) => plan_to(name, facts),
        },
    }
}

fn plan_to(name: &str, facts: &Facts) -> Result<Plan, PlanError> {
    match request::standing_of(name, facts)? {
        Standing::Applied => Ok(revert::plan_down_to(name, facts)),
        Standing::Pending => upward::plan_up(
            &upward::Selection {
                target: Some(name),
                ..upward::Selection::default()
            },
            facts,
        ),
    }
}
