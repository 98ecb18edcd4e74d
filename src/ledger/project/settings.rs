//! What an owner says of a project: written when it is made, and when it is altered.

use belay_core::contract::Enforcement;
use belay_core::gate::{Source, UnknownClients};
use belay_core::naming::Naming;
use belay_core::order::Ordering;

use super::Project;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::pg::identity;
use crate::pg::spi::bind;

/// The application_name of clients, where a project says nothing else.
const CLIENT_PATTERN: &str = "{project}/{release}";

/// What `project_create` and `project_alter` set; `None` leaves a value as it is.
#[derive(Debug, Default)]
pub struct Settings {
    /// Ordering policy.
    pub ordering: Option<Ordering>,
    /// Naming, declared.
    pub naming: Option<Naming>,
    /// Whether downs are allowed.
    pub allow_down: Option<bool>,
    /// search_path of its migrations; empty = the caller's.
    pub search_path: Option<String>,
    /// Trusted registrants.
    pub trusted: Option<Vec<String>>,
    /// New owner.
    pub owner: Option<String>,
    /// Schemas that the contract looks at; empty = all.
    pub schemas: Option<Vec<String>>,
    /// What becomes of a migration that breaks the contract.
    pub contract: Option<Enforcement>,
    /// Kinds of objects that carry a version.
    pub versioned: Option<Vec<String>>,
    /// How the gate of post knows clients.
    pub gate_source: Option<Source>,
    /// The application_name of the project's clients.
    pub client_pattern: Option<String>,
    /// Whether clients that show no release let a post run.
    pub unknown_clients: Option<UnknownClients>,
}

impl Ledger {
    /// Makes a project that belongs to the current role.
    pub fn create_project(&self, name: &str, settings: &Settings) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.project
                (name, ordering, naming, naming_declared, allow_down, search_path, trusted, owner, created_by,
                 schemas, contract, versioned, gate_source, client_pattern, unknown_clients)
               VALUES ($1, $2, $3, $3 IS NOT NULL, $4, $5, $6::text[]::name[], $7::text::name, $8::text::name,
                       nullif($9::text[], '{}'), $10, $11, $12, $13, $14)
               ON CONFLICT (name) DO NOTHING";
        let creator = identity::role_name(identity::current_role());
        let made = self.execute(
            SQL,
            &[
                bind(name),
                bind(settings.ordering.unwrap_or(Ordering::Strict).to_string()),
                bind(settings.naming.map(|naming| naming.to_string())),
                bind(settings.allow_down.unwrap_or(true)),
                bind(settings.search_path.clone().filter(|path| !path.is_empty())),
                bind(settings.trusted.clone().unwrap_or_default()),
                bind(settings.owner.clone().unwrap_or_else(|| creator.clone())),
                bind(creator),
                bind(settings.schemas.clone()),
                bind(settings.contract.unwrap_or_default().word()),
                bind(settings.versioned.clone().unwrap_or_default()),
                bind(settings.gate_source.unwrap_or_default().word()),
                bind(settings.client_pattern.as_deref().unwrap_or(CLIENT_PATTERN)),
                bind(settings.unknown_clients.unwrap_or_default().word()),
            ],
        )?;
        if made == 0 {
            return Err(Failure::new(
                Code::Duplicate,
                format!("project \"{name}\" exists already"),
                format!(
                    "SELECT belay.project_alter({}, ...) changes it",
                    pgrx::spi::quote_literal(name)
                ),
            ));
        }
        Ok(())
    }

    /// Changes a project; whoever calls has checked that the caller may.
    pub fn alter_project(&self, project: &Project, settings: &Settings) -> Result<()> {
        const SQL: &str = "UPDATE belay.project SET
                ordering = coalesce($2, ordering),
                naming = coalesce($3, naming),
                naming_declared = naming_declared OR $3 IS NOT NULL,
                allow_down = coalesce($4, allow_down),
                search_path = CASE WHEN $5 IS NULL THEN search_path ELSE nullif($5, '') END,
                trusted = coalesce($6::text[]::name[], trusted),
                owner = coalesce($7::text::name, owner),
                schemas = CASE WHEN $8::text[] IS NULL THEN schemas ELSE nullif($8, '{}') END,
                contract = coalesce($9, contract),
                versioned = coalesce($10, versioned),
                gate_source = coalesce($11, gate_source),
                client_pattern = coalesce($12, client_pattern),
                unknown_clients = coalesce($13, unknown_clients)
              WHERE id = $1";
        self.execute(
            SQL,
            &[
                bind(project.id),
                bind(settings.ordering.map(|ordering| ordering.to_string())),
                bind(settings.naming.map(|naming| naming.to_string())),
                bind(settings.allow_down),
                bind(settings.search_path.clone()),
                bind(settings.trusted.clone()),
                bind(settings.owner.clone()),
                bind(settings.schemas.clone()),
                bind(settings.contract.map(Enforcement::word)),
                bind(settings.versioned.clone()),
                bind(settings.gate_source.map(Source::word)),
                bind(settings.client_pattern.clone()),
                bind(settings.unknown_clients.map(UnknownClients::word)),
            ],
        )?;
        Ok(())
    }
}
