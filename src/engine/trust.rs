//! No Trojans: a migration keeps its registrant, and runs with nobody's rights that the registrant
//! does not hold, unless somebody who may says so.

use pgrx::pg_sys::Oid;

use super::planning::Planned;
use crate::error::{Code, Failure, Result};
use crate::ledger::project::Project;
use crate::pg::identity;

/// Whether a registrant's texts may run with the rights of `user`.
pub(super) fn is_trusted(registrant: &str, user: Oid, project: &Project, trust: &[String]) -> bool {
    trust.iter().any(|role| role == registrant)
        || (project.lists_for(user) && project.trusted.iter().any(|role| role == registrant))
        || identity::role_by_name(registrant)
            .is_some_and(|role| identity::has_rights_of(role, user))
}

/// Refuses to run, with the caller's rights, what was registered by a role without them.
pub fn refuse_trojans(planned: &Planned, project: &Project, trust: &[String]) -> Result<()> {
    let caller = identity::current_role();
    let mut known: Vec<(&str, bool)> = Vec::new();
    let mut strangers: Vec<String> = Vec::new();
    let mut roles: Vec<&str> = Vec::new();
    for step in &planned.plan.steps {
        let Some(traits) = planned.gathered.traits.get(&step.entry.id) else {
            continue;
        };
        let registrant = &traits.registrant;
        let trusted = match known.iter().find(|(name, _)| **name == **registrant) {
            Some((_, trusted)) => *trusted,
            None => {
                let trusted = is_trusted(registrant, caller, project, trust);
                known.push((registrant, trusted));
                trusted
            }
        };
        if !trusted {
            let stranger = format!("{} was registered by {registrant}", step.entry.name);
            // A redo has two steps of each.
            if !strangers.contains(&stranger) {
                strangers.push(stranger);
            }
            if !roles.contains(&&**registrant) {
                roles.push(registrant);
            }
        }
    }
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Privilege,
        format!(
            "{} would run with the rights of \"{}\" that whoever registered it does not hold",
            if strangers.len() == 1 {
                "a migration".to_owned()
            } else {
                format!("{} migrations", strangers.len())
            },
            identity::role_name(caller)
        ),
        format!(
            "read them, then pass trust => '{{{}}}' or run as a role of theirs; {}",
            roles.join(","),
            match project.lists_for(caller) {
                true => format!(
                    "the project's owner can list such roles: belay.project_alter({}, trusted => ...)",
                    pgrx::spi::quote_literal(&project.name)
                ),
                false => format!(
                    "the list of the project's owner, \"{}\", does not count for a superuser",
                    project.owner
                ),
            }
        ),
    )
    .detail(strangers.join("\n")))
}
