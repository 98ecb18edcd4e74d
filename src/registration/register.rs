//! One migration at a time: register, unregister, rename.

use belay_core::layout::Definition;
use belay_core::naming::Naming;
use belay_core::order::Ordering;

use super::definition::{self, checksum};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::project::Project;
use crate::ledger::registry::Registered;

/// Registers a text. The same checksum again changes nothing.
pub fn register(
    ledger: &Ledger,
    project: &Project,
    name: &str,
    up: &str,
    down: Option<&str>,
    replace: bool,
) -> Result<()> {
    let naming = project.naming.unwrap_or_else(|| Naming::detect([name]));
    let definition =
        Definition::from_text(name, up, down).map_err(|e| definition::layout_failure(&e))?;
    let sum = checksum(&definition)?;
    let new = definition::checked(project, naming, &definition, sum)?;
    match ledger.lock_registered(project, name)? {
        None => {
            definition::refuse_unsound_name(naming, name)?;
            ledger.set_found_naming(project, naming)?;
            ledger.add_migrations(project, &[new], false)
        }
        Some(old)
            if old.checksum == new.checksum
                && (old.applied || old.attributes.agree_with(&new.attributes)) =>
        {
            Ok(())
        }
        Some(old) if old.applied => Err(changed(&old)),
        Some(_) if replace => ledger.replace_migrations(project, &[new], false),
        Some(_) => Err(Failure::new(
            Code::Changed,
            format!("migration \"{name}\" is registered with another definition"),
            "pass replace => true to replace it while it is pending",
        )),
    }
}

/// An applied migration is immutable.
pub fn changed(old: &Registered) -> Failure {
    Failure::new(
        Code::Changed,
        format!("migration \"{}\" is applied and its definition has changed", old.name),
        "put the text back as it was and write a new migration; or revert it first: CALL belay.migrate_down()",
    )
    .detail(format!("applied with checksum {}", old.checksum))
}

/// Takes a pending migration out of the registry; its history stays.
pub fn unregister(ledger: &Ledger, project: &Project, name: &str) -> Result<()> {
    let old = registered(ledger, project, name)?;
    if old.applied {
        return Err(Failure::new(
            Code::Protected,
            format!("migration \"{name}\" is applied and stays registered"),
            "revert it first: CALL belay.migrate_down()",
        ));
    }
    if old.unfinished {
        return Err(Failure::new(
            Code::Unfinished,
            format!("migration \"{name}\" has begun and not ended"),
            "CALL belay.migrate_up() resumes it",
        ));
    }
    ledger.remove_migrations(project, &[name.to_owned()])
}

/// Gives a migration another name, and so another place in the order.
pub fn rename(ledger: &Ledger, project: &Project, old: &str, new: &str) -> Result<()> {
    let migration = registered(ledger, project, old)?;
    if old == new {
        return Ok(());
    }
    let naming = project.naming.unwrap_or_else(|| Naming::detect([new]));
    let sort_key = definition::sort_key(project, naming, new)?;
    definition::refuse_unsound_name(naming, new)?;
    if ledger.lock_registered(project, new)?.is_some() {
        return Err(Failure::new(
            Code::Duplicate,
            format!("migration \"{new}\" is registered already"),
            "choose another name; belay.migrate_status() lists them",
        ));
    }
    if migration.applied && project.ordering == Ordering::Strict {
        let passed = ledger.between(project, &migration.sort_key, &sort_key, migration.id)?;
        if let Some(passed) = passed {
            return Err(Failure::new(
                Code::Late,
                format!("migration \"{old}\" is applied and would change places with \"{passed}\""),
                "what is applied in strict order keeps its place: choose a name that sorts where it stands",
            ));
        }
    }
    ledger.rename_migration(migration.id, new, sort_key)
}

fn registered(ledger: &Ledger, project: &Project, name: &str) -> Result<Registered> {
    ledger.lock_registered(project, name)?.ok_or_else(|| {
        Failure::new(
            Code::Unknown,
            format!("migration \"{name}\" is not registered"),
            "SELECT name, state FROM belay.migrate_status() lists what is",
        )
    })
}
