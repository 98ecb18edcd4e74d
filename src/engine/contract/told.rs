//! What is said of a migration that breaks the contract.

use belay_core::contract::{Settled, Violation, find};
use belay_core::naming::Phase;

use super::Member;
use crate::engine::planning::project_argument;
use crate::engine::transactional::StepRun;
use crate::error::{Code, Failure};
use crate::pg::client;

fn lines(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    lines.join("\n")
}

fn places(number: usize) -> String {
    match number {
        1 => "in 1 place".to_owned(),
        n => format!("in {n} places"),
    }
}

/// MG017, with every violation on its own line, and the ways out.
pub(super) fn refused(step: &StepRun<'_>, member: Member<'_>, violations: &[Violation]) -> Failure {
    let Member { release, phase } = member;
    let first = violations
        .first()
        .and_then(|violation| find(violation.rule));
    let (rule, instead) = first.map_or(("RULE", ""), |rule| (rule.id, rule.instead));
    let project = pgrx::spi::quote_literal(&step.project.name);
    Failure::new(
        Code::Contract,
        format!(
            "migration \"{}\" breaks the contract of {phase} of release {release} {}",
            step.name(),
            places(violations.len())
        ),
        format!(
            "{instead}; or accept it, with \"-- belay: waive {rule} REASON\" at the head of the migration; or as the project's owner: \
             SELECT belay.project_alter({project}, contract => 'report')"
        ),
    )
    .detail(lines(violations))
}

/// What is only reported, what is waived, and waivers that nothing needed.
pub(super) fn tell(step: &StepRun<'_>, phase: Phase, settled: &Settled) {
    if !settled.left.is_empty() {
        client::warning_with_detail(
            format!(
                "{} breaks the contract of {phase} {}",
                step.name(),
                places(settled.left.len())
            ),
            &lines(&settled.left),
            format!(
                "it is kept; CALL belay.migrate_up(phase => '{phase}'{}) would refuse it while contract => 'enforce'",
                project_argument(&step.project.name)
            ),
        );
    }
    for line in &settled.waived {
        client::notice(format!("{}: waived: {line}", step.name()));
    }
    for rule in &settled.unneeded {
        client::notice(format!(
            "{}: nothing needed the waiver of {rule}",
            step.name()
        ));
    }
}
