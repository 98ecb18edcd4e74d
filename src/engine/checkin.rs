//! Instances of a project's code say which release they run.

use std::time::Duration;

use belay_core::naming::Naming;
use pgrx::datum::TimestampWithTimeZone;
use semver::Version;

use super::planning::project_argument;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::pg::identity;

/// The most characters of an instance's name.
const LONGEST: usize = 200;

/// Refuses a project whose names have no releases, once it has names.
pub fn refuse_without_releases(project: &Project) -> Result<()> {
    match project.naming {
        None | Some(Naming::Release) => Ok(()),
        Some(naming) => Err(Failure::new(
            Code::InvalidParameter,
            format!(
                "the names of project \"{}\" are '{naming}': it has no releases",
                project.name
            ),
            "name a project whose naming is 'release': SELECT name, naming FROM belay.project",
        )),
    }
}

/// Refuses (MG018) a release whose code a later post has contracted away.
pub fn refuse_contracted(ledger: &Ledger, project: &Project, release: &Version) -> Result<()> {
    let newest = ledger.newest_contracted(project)?;
    match newest.filter(|newest| release.cmp_precedence(newest).is_lt()) {
        None => Ok(()),
        Some(newest) => Err(Failure::new(
            Code::Gate,
            format!(
                "release {release} of project \"{}\" is over: the post of {newest} is applied",
                project.name
            ),
            format!("deploy release {newest} or a later one"),
        )),
    }
}

/// The instance runs the release, and says so again before it expires.
pub fn check_in(
    ledger: &Ledger,
    project: &Project,
    release: &Version,
    instance: &str,
    expires: Duration,
) -> Result<TimestampWithTimeZone> {
    refuse_without_releases(project)?;
    refuse_bad_instance(instance)?;
    refuse_contracted(ledger, project, release)?;
    let micros = i64::try_from(expires.as_micros()).unwrap_or(i64::MAX);
    let written = ledger.check_in(project, instance, &release.to_string(), micros)?;
    let Some(expires_at) = written else {
        let role = ledger.role_of_instance(project, instance)?;
        return Err(anothers(instance, &role.unwrap_or_default(), project));
    };
    ledger.forget_expired(project)?;
    Ok(expires_at)
}

/// The instance has ended; whether it was there.
pub fn check_out(ledger: &Ledger, project: &Project, instance: &str) -> Result<bool> {
    let role = ledger.role_of_instance(project, instance)?;
    let may = |name: &String| match identity::role_by_name(name) {
        Some(role) => identity::has_rights_of(identity::current_role(), role),
        None => true,
    };
    match role {
        Some(role) if !may(&role) && !project.is_owned_by_caller() => {
            Err(anothers(instance, &role, project))
        }
        _ => ledger.check_out(project, instance),
    }
}

fn anothers(instance: &str, role: &str, project: &Project) -> Failure {
    Failure::new(
        Code::Privilege,
        format!("instance \"{instance}\" has checked in as role \"{role}\""),
        format!(
            "give each instance a name of its own, or let a member of that role or the project's owner take it out: SELECT belay.client_checkout({}{})",
            pgrx::spi::quote_literal(instance),
            project_argument(&project.name)
        ),
    )
}

fn refuse_bad_instance(instance: &str) -> Result<()> {
    let sound = !instance.trim().is_empty()
        && instance.chars().count() <= LONGEST
        && !instance.chars().any(char::is_control);
    if sound {
        return Ok(());
    }
    Err(Failure::new(
        Code::InvalidParameter,
        match instance.trim().is_empty() {
            true => "instance is empty".to_owned(),
            false => format!(
                "instance has more than {LONGEST} characters, or control characters among them"
            ),
        },
        "name the instance as its host or container is named: instance => 'web-1'",
    ))
}
