//! Projects: `project_create` and `project_alter`.

use pgrx::{AnyElement, pg_extern};

use super::{required, word};
use crate::engine::alter::refuse_ordering;
use crate::error::{Code, Failure, Result, entry};
use crate::ledger::Ledger;
use crate::ledger::project::Settings;
use crate::pg::{identity, spi};

const ROW: &str = "SELECT p FROM belay.project p WHERE p.name OPERATOR(pg_catalog.=) $1";

/// The settings as they were given; roles must exist.
fn settings(
    ordering: Option<&str>,
    naming: Option<&str>,
    allow_down: Option<bool>,
    search_path: Option<&str>,
    trusted: Option<Vec<Option<String>>>,
    owner: Option<&str>,
) -> Result<Settings> {
    let trusted: Option<Vec<String>> = trusted.map(|roles| roles.into_iter().flatten().collect());
    for role in trusted.iter().flatten().map(String::as_str).chain(owner) {
        if identity::role_by_name(role).is_none() {
            return Err(Failure::new(
                Code::InvalidParameter,
                format!("role \"{role}\" does not exist"),
                format!(
                    "CREATE ROLE {}, or correct the name",
                    pgrx::spi::quote_identifier(role)
                ),
            ));
        }
    }
    refuse_foreign_owner(owner)?;
    Ok(Settings {
        ordering: word(ordering, "ordering", "'strict', 'disjoint' or 'permissive'")?,
        naming: word(naming, "naming", "'natural', 'release' or 'diesel'")?,
        allow_down,
        search_path: search_path.map(str::to_owned),
        trusted,
        owner: owner.map(str::to_owned),
    })
}

/// As ALTER ... OWNER TO: giving a project away would lend the new owner's word to what the giver has
/// written into it.
fn refuse_foreign_owner(owner: Option<&str>) -> Result<()> {
    let Some(role) = owner.and_then(identity::role_by_name) else {
        return Ok(());
    };
    if identity::has_rights_of(identity::current_role(), role) {
        return Ok(());
    }
    Err(Failure::new(
        Code::Privilege,
        format!(
            "a project can be given only to a role that \"{}\" is a member of",
            identity::role_name(identity::current_role())
        ),
        format!(
            "let {} create it or a superuser give it",
            pgrx::spi::quote_identifier(identity::role_name(role))
        ),
    ))
}

#[pg_extern(sql = false)]
fn project_create(
    name: Option<&str>,
    ordering: Option<&str>,
    naming: Option<&str>,
    allow_down: Option<bool>,
    search_path: Option<&str>,
    trusted: Option<Vec<Option<String>>>,
    owner: Option<&str>,
) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let name = required(name, "name")?;
        refuse_bad_name(name)?;
        let settings = settings(ordering, naming, allow_down, search_path, trusted, owner)?;
        ledger.create_project(name, &settings)?;
        spi::composite(ROW, &[spi::bind(name)])
    })
}

fn refuse_bad_name(name: &str) -> Result<()> {
    let sound = !name.is_empty()
        && name.chars().count() <= 63
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if sound {
        return Ok(());
    }
    Err(Failure::new(
        Code::Name,
        format!("\"{name}\" is not a project name"),
        "use 1 to 63 characters, without control characters or white space at the ends",
    ))
}

#[pg_extern(sql = false)]
fn project_alter(
    name: Option<&str>,
    ordering: Option<&str>,
    naming: Option<&str>,
    allow_down: Option<bool>,
    search_path: Option<&str>,
    trusted: Option<Vec<Option<String>>>,
    owner: Option<&str>,
) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let project = ledger.project(required(name, "name")?)?;
        project.refuse_strangers("alter it")?;
        let settings = settings(ordering, naming, allow_down, search_path, trusted, owner)?;
        if let Some(naming) = settings.naming {
            ledger.refuse_renaming(&project, naming)?;
        }
        if let Some(ordering) = settings
            .ordering
            .filter(|wanted| *wanted != project.ordering)
        {
            refuse_ordering(&ledger, &project, ordering)?;
        }
        ledger.alter_project(&project, &settings)?;
        spi::composite(ROW, &[spi::bind(project.name)])
    })
}
