//! The contract of pre and post, around each migration of a release that goes up.
//!
//! In force where a phase is asked for and the project enforces it; else what is broken is told and kept. What other
//! sessions change while a migration runs counts as the migration's.

mod alone;
mod told;

use belay_core::contract::{Base, Enforcement, Judged, Violation, Waiver, judge, settle};
use belay_core::naming::Phase;
use belay_core::plan::Direction;
use belay_core::snapshot::Snapshot;
use semver::Version;

use super::transactional::StepRun;
use crate::error::Result;
use crate::ledger::registry::Text;
use crate::ledger::step::Findings;
use crate::snapshot;

pub use alone::before_statements;

/// A migration that is judged: its place, and the schema as it was.
pub struct Watched<'a> {
    phase: Phase,
    release: &'a Version,
    before: Snapshot,
    base: Base,
}

/// What a step belongs to; `None`: the contract does not look at it.
fn of<'a>(step: &StepRun<'a>) -> Option<(Phase, &'a Version)> {
    let entry = &step.step.entry;
    let looked_at =
        step.step.direction == Direction::Up && step.project.contract != Enforcement::Off;
    entry
        .phase
        .zip(entry.release.as_ref())
        .filter(|_| looked_at)
}

/// Takes the schema before a migration; with the first of a release also what there was when it began.
pub fn watch<'a>(step: &StepRun<'a>) -> Result<Option<Watched<'a>>> {
    let Some((phase, release)) = of(step) else {
        return Ok(None);
    };
    let before = snapshot::take(step.project.schemas.as_deref())?;
    let base = base_of(step, release, &before)?;
    Ok(Some(Watched {
        phase,
        release,
        before,
        base,
    }))
}

/// What was there when the release began. Where nothing of the release is applied or under way, it begins now.
fn base_of(step: &StepRun<'_>, release: &Version, now: &Snapshot) -> Result<Base> {
    let (ledger, project) = (step.ledger, step.project);
    let release = release.to_string();
    if let Some(objects) = ledger.release_base(project, &release)? {
        return Ok(Base::from_json(&objects));
    }
    let base = Base::of(now);
    ledger.keep_release_base(project, &release, base.to_json())?;
    Ok(base)
}

impl Watched<'_> {
    /// Judges what the migration has done; refuses (MG017), or says what is to be kept.
    pub fn judge(&self, step: &StepRun<'_>, text: &Text) -> Result<Findings> {
        let after = snapshot::take(step.project.schemas.as_deref())?;
        let violations = judge(&Judged {
            before: &self.before,
            after: &after,
            base: &self.base,
            phase: self.phase,
            versioned: &step.project.versioned,
        });
        settled(step, text, self.phase, self.release, violations)
    }
}

fn settled(
    step: &StepRun<'_>,
    text: &Text,
    phase: Phase,
    release: &Version,
    violations: Vec<Violation>,
) -> Result<Findings> {
    let waivers = text.waivers.iter();
    let waivers: Vec<Waiver> = waivers.filter_map(|text| Waiver::from_text(text)).collect();
    let settled = settle(violations, &waivers);
    let in_force = step.in_force && step.project.contract == Enforcement::Enforce;
    if in_force && !settled.left.is_empty() {
        return Err(told::refused(step, phase, release, &settled.left));
    }
    told::tell(step, phase, &settled);
    Ok(Findings {
        waived: settled.waived,
        reported: settled.left.iter().map(Violation::to_string).collect(),
    })
}
