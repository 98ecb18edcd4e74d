//! Which jobs stand in the way of deploying a release: PostHog's block of upgrades.

use std::cmp::Ordering;

use belay_core::job::state::State;
use belay_core::naming::parse_release;
use semver::Version;

use super::{question, verbs};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::job::Job;
use crate::ledger::project::Project;
use crate::pg::{identity, settings, spi, transaction};

/// A job in the way.
pub struct Obstacle {
    /// The job.
    pub job: Job,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub next_command: String,
}

/// All of them, by name.
pub fn check(ledger: &Ledger, project: &Project, release: &Version) -> Result<Vec<Obstacle>> {
    let mut found = Vec::new();
    for job in ledger.jobs(project)? {
        if let Some((reason, next_command)) = judge(ledger, &job, release)? {
            found.push(Obstacle {
                job,
                reason,
                next_command,
            });
        }
    }
    Ok(found)
}

fn judge(ledger: &Ledger, job: &Job, release: &Version) -> Result<Option<(String, String)>> {
    let arguments = job.arguments();
    Ok(match job.state {
        State::Completed => None,
        State::Errored => Some((
            "it has failed".to_owned(),
            format!("SELECT belay.job_retry({arguments})"),
        )),
        State::Paused => Some((
            "it is paused".to_owned(),
            format!("SELECT belay.job_resume({arguments})"),
        )),
        State::Starting | State::Running | State::Stopping | State::RollingBack => Some((
            format!("it is {}", job.state),
            "SELECT * FROM belay.job_status()".to_owned(),
        )),
        State::NotStarted | State::RolledBack | State::FailedAtStartup => {
            let max = job.max_release.as_deref();
            let last = max.and_then(|text| parse_release(text).ok());
            let is_over = last.is_some_and(|last| last.cmp_precedence(release) == Ordering::Less);
            match is_over && is_required(ledger, job)? {
                true => Some((
                    format!(
                        "it is required, and {} is the last release that can run it",
                        max.unwrap_or_default()
                    ),
                    way_out(ledger, job)?,
                )),
                false => None,
            }
        }
    })
}

/// It has to be run under a release of its own.
fn way_out(ledger: &Ledger, job: &Job) -> Result<String> {
    Ok(match verbs::refuse_shut(ledger, job) {
        Ok(()) => format!("SELECT belay.job_start({})", job.arguments()),
        Err(_) => format!(
            "SELECT belay.release_announce({}{})",
            pgrx::spi::quote_literal(job.max_release.as_deref().unwrap_or_default()),
            crate::engine::planning::project_argument(&job.project)
        ),
    })
}

/// Asked as its registrant, and undone; what fails counts as no.
fn is_required(ledger: &Ledger, job: &Job) -> Result<bool> {
    let Some(sql) = verbs::definition(ledger, job)?.is_required else {
        return Ok(true);
    };
    // Nobody is there who could be asked.
    let Some(role) = identity::role_by_name(&job.role) else {
        return Ok(true);
    };
    let answer = transaction::in_undone_subtransaction(|| {
        identity::restricted_to(role, || {
            let level = settings::open_level();
            settings::set_text_for_level(c"search_path", &job.search_path);
            let row = spi::first_row(&sql)?;
            settings::close_level(level);
            Ok(row)
        })
    });
    Ok(answer
        .ok()
        .flatten()
        .is_some_and(|row| question::is_true(&row)))
}

/// Refuses (MG021) a release that a job stands in the way of.
pub fn refuse(ledger: &Ledger, project: &Project, release: &Version, hint: &str) -> Result<()> {
    let found = check(ledger, project, release)?;
    let Some(first) = found.first() else {
        return Ok(());
    };
    let message = match found.len() {
        1 => format!(
            "job \"{}\" stands in the way of release {release}: {}",
            first.job.name, first.reason
        ),
        n => format!("{n} jobs stand in the way of release {release}"),
    };
    let line = |obstacle: &Obstacle| {
        let bound =
            |word: &str, text: &Option<String>| text.as_ref().map(|text| format!("{word} {text}"));
        let bounds = [
            bound("from", &obstacle.job.min_release),
            bound("up to", &obstacle.job.max_release),
        ];
        let bounds: Vec<String> = bounds.into_iter().flatten().collect();
        let window = match bounds.is_empty() {
            true => String::new(),
            false => format!(" (releases {})", bounds.join(" ")),
        };
        format!(
            "\"{}\"{window}: {}; {}",
            obstacle.job.name, obstacle.reason, obstacle.next_command
        )
    };
    let lines: Vec<String> = found.iter().map(line).collect();
    Err(Failure::new(
        Code::Upgrade,
        message,
        format!("{}{hint}", first.next_command),
    )
    .detail(lines.join("\n")))
}
