//! Projects: one independent history each.

mod settings;

use belay_core::contract::Enforcement;
use belay_core::gate::{Source, UnknownClients};
use belay_core::naming::Naming;
use belay_core::order::Ordering;

use std::ffi::CStr;

use super::Ledger;
use crate::error::{Code, Failure, Result};
use crate::pg::identity;
use crate::pg::row::Row as Stored;
use crate::pg::spi::{Row, bind};
use pgrx::pg_sys::Oid;

pub use self::settings::Settings;

/// The project that exists by being used.
pub const DEFAULT: &str = "default";

/// A row of belay.project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Also the second key of the advisory lock.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// The policy.
    pub ordering: Ordering,
    /// `None` until declared or found.
    pub naming: Option<Naming>,
    /// Whether naming was declared rather than found.
    pub naming_declared: bool,
    /// False: nothing is ever reverted.
    pub allow_down: bool,
    /// search_path of its migrations.
    pub search_path: Option<String>,
    /// The role whose members may alter it.
    pub owner: String,
    /// Roles whose migrations anybody may run.
    pub trusted: Vec<String>,
    /// Schemas that the contract looks at; `None`: all but the server's and Belay's own.
    pub schemas: Option<Vec<String>>,
    /// What becomes of a migration that breaks the contract.
    pub contract: Enforcement,
    /// Kinds of objects that carry a version: function, trigger, type.
    pub versioned: Vec<String>,
    /// How the gate of post knows clients.
    pub gate_source: Source,
    /// The application_name of the project's clients, with `{project}` and `{release}`.
    pub client_pattern: String,
    /// Whether clients that show no release let a post run.
    pub unknown_clients: UnknownClients,
}

impl Project {
    fn from_row(row: &Row<'_, '_>) -> Result<Project> {
        let naming: Option<String> = row.get(4)?;
        Ok(Project {
            id: row.require(1)?,
            name: row.require(2)?,
            ordering: row
                .require::<String>(3)?
                .parse()
                .unwrap_or(Ordering::Strict),
            naming: naming.and_then(|naming| naming.parse().ok()),
            naming_declared: row.require(5)?,
            allow_down: row.require(6)?,
            search_path: row.get(7)?,
            owner: row.require(8)?,
            trusted: row.require::<Vec<String>>(9)?,
            schemas: row.get(10)?,
            contract: row.require::<String>(11)?.parse().unwrap_or_default(),
            versioned: row.require(12)?,
            gate_source: row.require::<String>(13)?.parse().unwrap_or_default(),
            client_pattern: row.require(14)?,
            unknown_clients: row.require::<String>(15)?.parse().unwrap_or_default(),
        })
    }

    /// The row that a trigger was given.
    pub fn from_stored(row: &Stored) -> Result<Project> {
        let naming: Option<String> = row.get(c"naming")?;
        let ordering: String = row.require(c"ordering")?;
        Ok(Project {
            id: row.require(c"id")?,
            name: row.require(c"name")?,
            ordering: ordering.parse().unwrap_or(Ordering::Strict),
            naming: naming.and_then(|naming| naming.parse().ok()),
            naming_declared: row.require(c"naming_declared")?,
            allow_down: row.require(c"allow_down")?,
            search_path: row.get(c"search_path")?,
            owner: row.get_name(c"owner")?.unwrap_or_default(),
            trusted: row.get_names(c"trusted")?,
            schemas: row.get::<Vec<String>>(c"schemas")?,
            contract: word(row, c"contract")?.parse().unwrap_or_default(),
            versioned: row.require(c"versioned")?,
            gate_source: word(row, c"gate_source")?.parse().unwrap_or_default(),
            client_pattern: word(row, c"client_pattern")?,
            unknown_clients: word(row, c"unknown_clients")?.parse().unwrap_or_default(),
        })
    }

    /// Whether the current role is one of the project's owners (or a superuser).
    pub fn is_owned_by_caller(&self) -> bool {
        identity::is_superuser()
            || identity::role_by_name(&self.owner)
                .is_some_and(|owner| identity::has_rights_of(identity::current_role(), owner))
    }

    /// Whether the list of trusted roles counts for `user`: an owner who is no superuser would else make
    /// one of whom it lists.
    pub fn lists_for(&self, user: Oid) -> bool {
        !identity::is_superuser_role(user)
            || identity::role_by_name(&self.owner).is_some_and(identity::is_superuser_role)
    }

    /// Refuses callers that are not owners.
    pub fn refuse_strangers(&self, what: &str) -> Result<()> {
        if self.is_owned_by_caller() {
            return Ok(());
        }
        Err(Failure::new(
            Code::Privilege,
            format!("only the owner of project \"{}\" may {what}", self.name),
            format!(
                "SET ROLE {}, or ask a member of that role",
                quote(&self.owner)
            ),
        ))
    }
}

fn word(row: &Stored, column: &CStr) -> Result<String> {
    row.require(column)
}

fn quote(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}

impl Ledger {
    /// The project of that name.
    pub fn find_project(&self, name: &str) -> Result<Option<Project>> {
        const SQL: &str = "SELECT id, name, ordering, naming, naming_declared, allow_down,
                    search_path, owner::text, trusted::text[],
                    schemas, contract, versioned, gate_source, client_pattern, unknown_clients
               FROM belay.project WHERE name = $1";
        self.select_one(SQL, &[bind(name)], |row| Project::from_row(&row))
    }

    /// The project of that name, or the error that names those there are.
    pub fn project(&self, name: &str) -> Result<Project> {
        if let Some(project) = self.find_project(name)? {
            return Ok(project);
        }
        const SQL: &str =
            "SELECT pg_catalog.string_agg(pg_catalog.quote_literal(name), ', ' ORDER BY name)
               FROM belay.project";
        let others = self
            .select_one(SQL, &[], |row| row.get::<String>(1))?
            .flatten();
        Err(Failure::new(
            Code::Unknown,
            format!("project \"{name}\" does not exist"),
            match others {
                Some(others) => format!(
                    "projects are {others}; SELECT belay.project_create({}) makes one",
                    pgrx::spi::quote_literal(name)
                ),
                None => "there is none yet; project 'default' is made by its first registration"
                    .to_owned(),
            },
        ))
    }

    /// The project of that name; `default` is made by first use and belongs to the extension's owner.
    pub fn project_for_registration(&self, name: &str) -> Result<Project> {
        if name == DEFAULT && self.find_project(name)?.is_none() {
            const SQL: &str = "INSERT INTO belay.project (name, owner, created_by) VALUES ($1, $2::text::name, $3::text::name)
                   ON CONFLICT (name) DO NOTHING";
            let owner = identity::role_name(self.installed.owner);
            let creator = identity::role_name(identity::current_role());
            self.execute(SQL, &[bind(name), bind(owner), bind(creator)])?;
        }
        self.project(name)
    }

    /// Serialises registrations: held until the transaction ends. The project as it is then.
    pub fn lock_project(&self, project: &Project) -> Result<Project> {
        const SQL: &str = "SELECT 1 FROM belay.project WHERE id = $1 FOR NO KEY UPDATE";
        self.write(SQL, &[bind(project.id)], |_| Ok(()))?;
        self.project(&project.name)
    }

    /// Another naming would give every registered migration another place.
    pub fn refuse_renaming(&self, project: &Project, naming: Naming) -> Result<()> {
        const SQL: &str = "SELECT EXISTS (SELECT FROM belay.migration WHERE project_id = $1)";
        let used = self.select_one(SQL, &[bind(project.id)], |row| row.require::<bool>(1))?;
        match project.naming {
            Some(now) if now != naming && used == Some(true) => Err(Failure::new(
                Code::Name,
                format!(
                    "project \"{}\" has migrations in naming '{now}'",
                    project.name
                ),
                "naming is fixed by the first registration; make another project for another naming",
            )),
            _ => Ok(()),
        }
    }

    /// Keeps the naming found from a project's first registration or load.
    pub fn set_found_naming(&self, project: &Project, naming: Naming) -> Result<()> {
        const SQL: &str = "UPDATE belay.project SET naming = $2 WHERE id = $1 AND naming IS NULL";
        self.execute(SQL, &[bind(project.id), bind(naming.to_string())])?;
        Ok(())
    }
}
