//! From a request to a plan that may run, or to the reason why not.

use belay_core::naming::Naming;
use belay_core::order::Ordering;
use belay_core::plan::{
    self, Direction, Obstacle, Plan, PlanError, PlannedStep, Request, Unfinished,
};

use super::call::{Call, Transaction};
use super::trust;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::facts::Gathered;
use crate::ledger::project::{DEFAULT, Project};
use crate::pg::identity;
use crate::pg::transaction::Mode;

/// A plan with the facts it was made from.
pub struct Planned {
    /// What would run.
    pub plan: Plan,
    /// What it was made from.
    pub gathered: Gathered,
}

/// Whose text a step runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    /// The definition that was planned; `None`: whichever is registered.
    pub definition: Option<i64>,
    /// Whether it must not undo the caller's SET ROLE.
    pub confined: bool,
}

/// The policy of a call: the project's, or a tighter one; a looser one takes the owner and a reason.
pub fn policy(
    project: &Project,
    wanted: Option<Ordering>,
    reason: Option<&str>,
) -> Result<Ordering> {
    let Some(wanted) = wanted else {
        return Ok(project.ordering);
    };
    if wanted.loosens(project.ordering) {
        project.refuse_strangers(&format!("run with ordering => '{wanted}'"))?;
        if reason.is_none_or(|reason| reason.trim().is_empty()) {
            return Err(Failure::new(
                Code::InvalidParameter,
                format!("ordering => '{wanted}' is looser than the project's and needs a reason"),
                "pass reason => '...'; it is kept in the history",
            ));
        }
    }
    Ok(wanted)
}

/// Plans a request.
pub fn make(
    ledger: &Ledger,
    project: &Project,
    request: &Request,
    ordering: Ordering,
) -> Result<Planned> {
    refuse_without_releases(project, request)?;
    let mut gathered = ledger.gather(project, request, ordering)?;
    let mut plan = plan::plan(request, &gathered.facts).map_err(plan_failure)?;
    // The plan has its own copies; a long run should hold no more than it needs.
    gathered.facts.pending = Vec::new();
    gathered.facts.applied = Vec::new();
    gathered.traits.shrink_to_fit();
    plan.steps.shrink_to_fit();
    Ok(Planned { plan, gathered })
}

/// A phase or release asked of a project without them is wrong, also when nothing is pending.
pub fn refuse_without_releases(project: &Project, request: &Request) -> Result<()> {
    let asks = matches!(
        request,
        Request::Up { phase, release, .. } if phase.is_some() || release.is_some()
    );
    match asks {
        true => refuse_project_without_releases(project),
        false => Ok(()),
    }
}

/// The names of the project's migrations tell releases, or there are none yet.
pub fn refuse_project_without_releases(project: &Project) -> Result<()> {
    match project.naming {
        Some(naming) if naming != Naming::Release => Err(Failure::new(
            Code::InvalidParameter,
            format!(
                "the names of project \"{}\" are '{naming}': they have no release and phase",
                project.name
            ),
            "phase and release need a project with naming 'release'; use target or steps",
        )),
        _ => Ok(()),
    }
}

fn plan_failure(error: PlanError) -> Failure {
    let code = match error {
        PlanError::UnknownTarget { .. } => Code::Unknown,
        _ => Code::InvalidParameter,
    };
    Failure::new(code, error.to_string(), error.hint())
}

/// The SQLSTATE of a reason why not.
pub fn code_of(obstacle: &Obstacle) -> Code {
    match obstacle {
        Obstacle::Late { .. }
        | Obstacle::LateForGood { .. }
        | Obstacle::EarlierPending { .. }
        | Obstacle::PostPending { .. }
        | Obstacle::OutOfOrder { .. }
        | Obstacle::LeavesGap { .. } => Code::Late,
        Obstacle::RequirementUnknown { .. }
        | Obstacle::RequirementPending { .. }
        | Obstacle::RequiredBy { .. } => Code::Requirement,
        Obstacle::NoDown | Obstacle::DownsForbidden => Code::Irreversible,
        Obstacle::SplitsPair { .. } => Code::Pair,
        Obstacle::Unfinished { .. } => Code::Unfinished,
    }
}

/// Refuses a plan of which any step may not run; every reason is listed.
pub fn refuse_obstacles(plan: &Plan, project: &Project) -> Result<()> {
    let Some((step, obstacle)) = plan.first_obstacle() else {
        return Ok(());
    };
    let mut failure = Failure::new(
        code_of(obstacle),
        obstacle.message(step),
        obstacle.hint(step, &project.name),
    );
    let all: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|step| {
            step.obstacle
                .as_ref()
                .map(|obstacle| obstacle.message(step))
        })
        .take(20)
        .collect();
    if all.len() > 1 {
        failure = failure.detail(all.join("\n"));
    }
    Err(failure)
}

/// Refuses to say that nothing is left to do while a migration has begun and not ended.
pub fn refuse_unfinished(planned: &Planned, project: &Project) -> Result<()> {
    match &planned.gathered.facts.unfinished {
        Some(unfinished) => Err(not_finished(unfinished, project)),
        None => Ok(()),
    }
}

/// MG007, with the verb that finishes it.
pub fn not_finished(unfinished: &Unfinished, project: &Project) -> Failure {
    Failure::new(
        Code::Unfinished,
        format!(
            "migration \"{}\" began to go {} and has not finished; statement {} is next",
            unfinished.name, unfinished.direction, unfinished.next_statement
        ),
        format!("finish it: {}", resuming(unfinished.direction, project)),
    )
}

/// The call that goes on with an unfinished migration.
pub fn resuming(direction: Direction, project: &Project) -> String {
    let argument = project_argument(&project.name);
    let only = argument.strip_prefix(", ").unwrap_or_default();
    format!("CALL belay.migrate_{direction}({only})")
}

/// The last argument of a call in a project that is not the default.
pub fn project_argument(project: &str) -> String {
    match project {
        DEFAULT => String::new(),
        name => format!(", project => {}", pgrx::spi::quote_literal(name)),
    }
}

/// A step that cannot run in a transaction has no place where one transaction holds the run.
pub fn refuse_alone(planned: &Planned, call: &Call, transaction: Transaction) -> Result<()> {
    if call.mode == Mode::TopLevel && transaction == Transaction::PerMigration {
        return Ok(());
    }
    let Some(step) = planned
        .plan
        .steps
        .iter()
        .find(|step| !planned.is_transactional(step))
    else {
        return Ok(());
    };
    let name = &step.entry.name;
    Err(match call.mode {
        Mode::Caller => Failure::new(
            Code::ActiveTransaction,
            format!("migration \"{name}\" cannot run inside the caller's transaction"),
            "CALL it outside a transaction block (autocommit)",
        ),
        Mode::Procedural => Failure::new(
            Code::ActiveTransaction,
            format!("migration \"{name}\" cannot run from a procedure or DO block"),
            "CALL it from the client, at top level",
        ),
        Mode::TopLevel => Failure::new(
            Code::ActiveTransaction,
            format!("migration \"{name}\" cannot run with transaction => 'per_run'"),
            "leave transaction out: each migration then commits by itself",
        ),
    })
}

impl Planned {
    /// Whose text a step runs. Where SET ROLE is in force, the registrant may hold that role's rights
    /// and not those of the session's user, to whom RESET ROLE would lead.
    pub fn origin_of(&self, step: &PlannedStep, project: &Project, trust: &[String]) -> Origin {
        let Some(traits) = self.gathered.traits.get(&step.entry.id) else {
            return Origin::default();
        };
        let user = identity::session_role();
        Origin {
            definition: Some(traits.definition_id),
            confined: user != identity::current_role()
                && !trust::is_trusted(&traits.registrant, user, project, trust),
        }
    }

    /// Whether a step runs in a transaction.
    pub fn is_transactional(&self, step: &PlannedStep) -> bool {
        self.gathered
            .traits
            .get(&step.entry.id)
            .is_none_or(|traits| match step.direction {
                Direction::Up => traits.up_transaction,
                Direction::Down => traits.down_transaction,
            })
    }
}
