//! History is made shorter, in the caller's transaction: `history_prune`.

use pgrx::datum::TimestampWithTimeZone;

use super::{active, contention};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::transaction::Mode;

/// Removes what ended before `before`; the number of steps. For the project's owner, while no run
/// of the project is going on.
pub fn prune(ledger: &Ledger, project: &Project, before: TimestampWithTimeZone) -> Result<usize> {
    active::refuse_within_run("prune the history")?;
    project.refuse_strangers("prune its history")?;
    // Registrations wait, so that a definition is either registered or swept.
    let project = ledger.lock_project(project)?;
    contention::take_now(ledger, &project, Mode::Caller)?;
    ledger.refuse_old_snapshot(&project)?;
    ledger.prune_history(&project, before)
}
