//! What is said of a migration that was applied out of order and kept.

use belay_core::plan::{Acceptance, PlannedStep};

use crate::pg::client;

/// The notice of a late step that has gone well; of another one there is none.
pub fn tell(step: &PlannedStep) {
    let Some(newest) = &step.late_after else {
        return;
    };
    let own = &step.entry.name;
    client::notice(match step.entry.acceptance.as_deref() {
        Some(Acceptance::Holds { by, reason }) => {
            format!("{own} sorts before {newest}, which is applied: accepted by {by}: {reason}")
        }
        _ => format!(
            "{own} sorts before {newest}, which is applied: kept, since they touch nothing in common"
        ),
    });
}
