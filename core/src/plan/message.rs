//! Obstacles in words.

use super::obstacle::Obstacle;
use super::request::Direction;
use super::{Acceptance, PlannedStep};

/// The project that calls need not name.
const DEFAULT_PROJECT: &str = "default";

impl Obstacle {
    /// What stands in the way of the step.
    #[must_use]
    pub fn message(&self, step: &PlannedStep) -> String {
        let own = &step.entry.name;
        match self {
            Obstacle::Late { newest } => {
                format!(
                    "migration \"{own}\" sorts before \"{newest}\", which is applied already{}",
                    lapse(step)
                )
            }
            Obstacle::LateForGood { newest } => {
                format!(
                    "migration \"{own}\" sorts before \"{newest}\", which is applied already, and runs without a transaction, so that it could not be taken back{}",
                    lapse(step)
                )
            }
            Obstacle::EarlierPending { name } => {
                format!("migration \"{own}\" cannot be applied before \"{name}\", which is pending")
            }
            Obstacle::PostPending { name, release } => format!(
                "migration \"{own}\" has to wait for the post of release {release}, of which \"{name}\" is pending"
            ),
            Obstacle::OutOfOrder { late, newest } => {
                format!(
                    "migration \"{late}\" is pending and sorts before \"{newest}\", which is applied already"
                )
            }
            Obstacle::LeavesGap { newest } => {
                format!(
                    "reverting \"{own}\" would leave \"{newest}\" applied, which sorts after it"
                )
            }
            Obstacle::RequirementUnknown { name } => {
                format!("migration \"{own}\" requires \"{name}\", which is not registered")
            }
            Obstacle::RequirementPending { name } => {
                format!("migration \"{own}\" requires \"{name}\", which is not applied before it")
            }
            Obstacle::RequiredBy { name } => {
                format!("migration \"{own}\" is required by \"{name}\", which is applied")
            }
            Obstacle::NoDown => format!("migration \"{own}\" has no down"),
            Obstacle::DownsForbidden => {
                format!("migration \"{own}\" may not be reverted: the project does not allow it")
            }
            Obstacle::SplitsPair { partner, .. } => {
                format!(
                    "reverting \"{own}\" would split it from \"{partner}\", with which it is an indivisible pair"
                )
            }
            Obstacle::Unfinished {
                name,
                direction,
                next_statement,
            } => {
                format!(
                    "migration \"{name}\" began to go {direction} and has not finished; statement {next_statement} is next"
                )
            }
        }
    }

    /// The next action, as a command where there is one; `project` is the project of the plan.
    #[must_use]
    pub fn hint(&self, step: &PlannedStep, project: &str) -> String {
        let own = literal(&step.entry.name);
        let end = project_argument(project);
        match self {
            Obstacle::Late { newest } | Obstacle::LateForGood { newest } => {
                late_hint(step, &step.entry.name, newest, &end)
            }
            Obstacle::OutOfOrder { late, newest } => late_hint(step, late, newest, &end),
            Obstacle::EarlierPending { name } => {
                format!(
                    "apply it first: CALL belay.migrate_up(target => {}{end})",
                    literal(name)
                )
            }
            Obstacle::PostPending { release, .. } => format!(
                "when the code of releases before {release} has gone: CALL belay.migrate_up(phase => 'post', release => '{release}'{end})"
            ),
            Obstacle::LeavesGap { newest } => format!(
                "revert \"{newest}\" as well, or loosen the policy for this call: CALL belay.migrate_down(ordering => 'permissive', reason => '...'{end})"
            ),
            Obstacle::RequirementUnknown { name } => format!(
                "register \"{name}\", or correct the line \"-- belay: requires\" of \"{}\"",
                step.entry.name
            ),
            Obstacle::RequirementPending { name } => format!(
                "apply it first: CALL belay.migrate_up(target => {}{end}); if it sorts after \"{}\", rename one of the two",
                literal(name),
                step.entry.name
            ),
            Obstacle::RequiredBy { name } => format!("revert \"{name}\" first"),
            Obstacle::NoDown => format!(
                "undo it in a new migration, or undo it by hand and say so: SELECT belay.migrate_mark({own}, 'pending', reason => '...'{end})"
            ),
            Obstacle::DownsForbidden => format!(
                "undo it in a new migration, or as the project's owner: SELECT belay.project_alter({}, allow_down => true)",
                literal(project)
            ),
            Obstacle::SplitsPair { steps_needed, .. } => {
                format!("CALL belay.migrate_down(steps => {steps_needed}{end}) reverts both")
            }
            Obstacle::Unfinished {
                name, direction, ..
            } => unfinished_hint(name, *direction, &end),
        }
    }
}

/// What became of a review that no longer counts.
fn lapse(step: &PlannedStep) -> String {
    match step.entry.acceptance.as_deref() {
        Some(Acceptance::Replaced) => "; it was accepted with another text".to_owned(),
        Some(Acceptance::Overtaken { after }) => {
            format!("; it was accepted after \"{after}\", and more has been applied since then")
        }
        Some(Acceptance::Holds { .. }) | None => String::new(),
    }
}

/// The ways out for a late migration, the usual one first.
fn late_hint(step: &PlannedStep, late: &str, newest: &str, end: &str) -> String {
    let (own, after) = (literal(late), literal(newest));
    let new = match &step.rename_to {
        Some(name) => literal(name),
        None => "<new name>".to_owned(),
    };
    format!(
        "rename it so that it sorts after \"{newest}\": SELECT belay.migrate_rename({own}, {new}{end}); or after review let it run late: SELECT belay.migrate_accept_late({own}, after => {after}, reason => '...'{end}); or loosen the policy for this call: CALL belay.migrate_{}(ordering => 'permissive', reason => '...'{end})",
        step.direction
    )
}

fn unfinished_hint(name: &str, direction: Direction, end: &str) -> String {
    let verb = match direction {
        Direction::Up => "migrate_up",
        Direction::Down => "migrate_down",
    };
    let only = end.strip_prefix(", ").unwrap_or(end);
    format!(
        "finish it: CALL belay.{verb}({only}); or say how it stands: SELECT belay.migrate_mark({}, 'applied', reason => '...'{end}), or 'pending'",
        literal(name)
    )
}

/// The last argument of a call in a project that is not the default.
fn project_argument(project: &str) -> String {
    if project == DEFAULT_PROJECT {
        String::new()
    } else {
        format!(", project => {}", literal(project))
    }
}

/// A string literal of SQL, with `standard_conforming_strings` on.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
