//! Projects: `project_create` and `project_alter`.

use belay_core::gate::Pattern;
use pgrx::{AnyElement, pg_extern, pg_sys};

use super::{required, word};
use crate::engine::alter::refuse_ordering;
use crate::error::{Code, Failure, Result, entry};
use crate::ledger::Ledger;
use crate::ledger::project::Settings;
use crate::pg::arguments::Arguments;
use crate::pg::{identity, spi};

const ROW: &str = "SELECT p FROM belay.project p WHERE p.name OPERATOR(pg_catalog.=) $1";

/// The settings as they were given, in the order of the arguments; roles must exist.
fn settings(arguments: &mut Arguments) -> Result<Settings> {
    let ordering: Option<String> = arguments.next();
    let naming: Option<String> = arguments.next();
    let allow_down = arguments.next();
    let search_path = arguments.next();
    let trusted: Option<Vec<Option<String>>> = arguments.next();
    let trusted: Option<Vec<String>> = trusted.map(|roles| roles.into_iter().flatten().collect());
    let owner: Option<String> = arguments.next();
    for role in trusted.iter().flatten().chain(&owner) {
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
    refuse_foreign_owner(owner.as_deref())?;
    Ok(Settings {
        ordering: word(
            ordering.as_deref(),
            "ordering",
            "'strict', 'disjoint' or 'permissive'",
        )?,
        naming: word(
            naming.as_deref(),
            "naming",
            "'natural', 'release' or 'diesel'",
        )?,
        allow_down,
        search_path,
        trusted,
        owner,
        ..about_releases(arguments)?
    })
}

/// The settings of projects with releases.
fn about_releases(arguments: &mut Arguments) -> Result<Settings> {
    let schemas: Option<Vec<Option<String>>> = arguments.next();
    let contract: Option<String> = arguments.next();
    let versioned: Option<Vec<Option<String>>> = arguments.next();
    let versioned: Option<Vec<String>> =
        versioned.map(|kinds| kinds.into_iter().flatten().collect());
    for kind in versioned.iter().flatten() {
        if !["function", "trigger", "type"].contains(&kind.as_str()) {
            return Err(Failure::new(
                Code::InvalidParameter,
                format!("versioned => '{kind}' is not known"),
                "use any of 'function', 'trigger' and 'type'",
            ));
        }
    }
    let gate_source: Option<String> = arguments.next();
    let client_pattern: Option<String> = arguments.next();
    if let Some(pattern) = &client_pattern {
        // Which project it is does not matter to its form.
        Pattern::new(pattern, "").map_err(|error| {
            Failure::new(
                Code::InvalidParameter,
                format!("client_pattern => '{pattern}' cannot be read: {error}"),
                "write {release} once, where application_name has it, as in '{project}/{release}'",
            )
        })?;
    }
    let unknown_clients: Option<String> = arguments.next();
    Ok(Settings {
        schemas: schemas.map(|names| names.into_iter().flatten().collect()),
        contract: word(
            contract.as_deref(),
            "contract",
            "'enforce', 'report' or 'off'",
        )?,
        versioned,
        gate_source: word(
            gate_source.as_deref(),
            "gate_source",
            "'sessions' or 'checkin'",
        )?,
        client_pattern,
        unknown_clients: word(
            unknown_clients.as_deref(),
            "unknown_clients",
            "'allow' or 'refuse'",
        )?,
        ..Settings::default()
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
fn project_create(fcinfo: pg_sys::FunctionCallInfo) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let mut arguments = Arguments::of(fcinfo, &ledger.installed);
        let name: String = required(arguments.next(), "name")?;
        refuse_bad_name(&name)?;
        ledger.create_project(&name, &settings(&mut arguments)?)?;
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
fn project_alter(fcinfo: pg_sys::FunctionCallInfo) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let mut arguments = Arguments::of(fcinfo, &ledger.installed);
        let name: String = required(arguments.next(), "name")?;
        let project = ledger.project(&name)?;
        project.refuse_strangers("alter it")?;
        let settings = settings(&mut arguments)?;
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
