//! A release of a project's code is deployed: what its deployers tell.

use belay_core::naming::parse_release;
use semver::Version;

use super::active;
use super::checkin::{refuse_contracted, refuse_without_releases};
use super::planning::project_argument;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::client;

/// Keeps that the release is deployed now; the announcement's id. A WARNING says what should have run before.
pub fn announce(ledger: &Ledger, project: &Project, release: &Version) -> Result<i64> {
    active::refuse_within_run("announce a release")?;
    // Jobs have release windows, whatever the names of migrations are.
    if !ledger.has_jobs(project)? {
        refuse_without_releases(project)?;
    }
    refuse_contracted(ledger, project, release)?;
    let id = ledger.record_announcement(project, &release.to_string())?;
    let pending = ledger.pending_pre(project)?;
    let due = |of: &str| parse_release(of).is_ok_and(|of| of.cmp_precedence(release).is_le());
    let due: Vec<&str> = pending
        .iter()
        .filter(|(_, of)| due(of))
        .map(|(name, _)| name.as_str())
        .collect();
    if let Some(first) = due.first() {
        let more = match due.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        client::warning(
            format!("release {release} is announced, and its pre is pending: \"{first}\"{more}"),
            format!(
                "CALL belay.migrate_up(phase => 'pre', release => '{release}'{})",
                project_argument(&project.name)
            ),
        );
    }
    Ok(id)
}
