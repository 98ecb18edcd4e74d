//! A pre that runs statement by statement: judged by its texts, before anything of it runs.
//!
//! A post of that sort is not judged: what it did is committed by then.

use belay_core::contract::judge_alone;
use belay_core::naming::Phase;

use super::{Contract, base_of, schema_of};
use crate::engine::transactional::StepRun;
use crate::error::Result;
use crate::ledger::registry::Text;
use crate::ledger::step::Findings;
use crate::pg::parse::Script;

impl Contract {
    /// Refuses (MG017) what such a pre may not hold, or says what is to be kept.
    pub fn before_statements(
        &self,
        step: &StepRun<'_>,
        text: &Text,
        script: &Script,
    ) -> Result<Findings> {
        let Some(member) = self.member(step) else {
            return Ok(Findings::default());
        };
        let now = schema_of(step)?;
        let base = base_of(step, member.release, &now)?;
        if member.phase == Phase::Post {
            return Ok(Findings::default());
        }
        let violations = judge_alone(&script.alone(), &base);
        self.settle(step, text, member, violations)
    }
}
