//! A pre that runs statement by statement: judged by its texts, before anything of it runs.
//!
//! A post of that sort is not judged: what it did is committed by then.

use belay_core::contract::judge_alone;
use belay_core::naming::Phase;

use super::{base_of, of, settled};
use crate::engine::transactional::StepRun;
use crate::error::Result;
use crate::ledger::registry::Text;
use crate::ledger::step::Findings;
use crate::pg::parse::Script;
use crate::snapshot;

/// Refuses (MG017) what such a pre may not hold, or says what is to be kept.
pub fn before_statements(
    step: &StepRun<'_>,
    text: &Text,
    script: &Script,
) -> Result<Option<Findings>> {
    let Some((phase, release)) = of(step) else {
        return Ok(None);
    };
    let now = snapshot::take(step.project.schemas.as_deref())?;
    let base = base_of(step, release, &now)?;
    if phase == Phase::Post {
        return Ok(None);
    }
    let violations = judge_alone(&script.alone(), &base);
    settled(step, text, phase, release, violations).map(Some)
}
