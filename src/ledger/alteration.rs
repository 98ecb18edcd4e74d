//! Changes of a project's settings, as the history keeps them.

use belay_core::order::Ordering;
use pgrx::JsonB;
use serde_json::{Map, Value, json};

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::extension::LIBRARY_VERSION;
use crate::pg::row::Row;
use crate::pg::spi::bind;
use crate::pg::{client, identity, settings};

/// What differs between two rows of belay.project.
#[derive(Debug)]
pub struct Alteration {
    /// The project, as it is now.
    pub project: Project,
    /// Each changed setting: [before, after].
    settings: Map<String, Value>,
}

/// The setting's value in a row.
type Read = fn(&Row) -> Result<Value>;

/// What is compared, but for the naming.
const SETTINGS: [(&str, Read); 13] = [
    ("name", |row| Ok(json!(row.get::<String>(c"name")?))),
    ("ordering", |row| Ok(json!(row.get::<String>(c"ordering")?))),
    ("naming_declared", |row| {
        Ok(json!(row.get::<bool>(c"naming_declared")?))
    }),
    ("allow_down", |row| {
        Ok(json!(row.get::<bool>(c"allow_down")?))
    }),
    ("search_path", |row| {
        Ok(json!(row.get::<String>(c"search_path")?))
    }),
    ("owner", |row| Ok(json!(row.get_name(c"owner")?))),
    ("trusted", |row| Ok(json!(row.get_names(c"trusted")?))),
    ("schemas", |row| {
        Ok(json!(row.get::<Vec<String>>(c"schemas")?))
    }),
    ("contract", |row| Ok(json!(row.get::<String>(c"contract")?))),
    ("versioned", |row| {
        Ok(json!(row.get::<Vec<String>>(c"versioned")?))
    }),
    ("gate_source", |row| {
        Ok(json!(row.get::<String>(c"gate_source")?))
    }),
    ("client_pattern", |row| {
        Ok(json!(row.get::<String>(c"client_pattern")?))
    }),
    ("unknown_clients", |row| {
        Ok(json!(row.get::<String>(c"unknown_clients")?))
    }),
];

impl Alteration {
    /// Compares the row as it was with the row as it is.
    pub fn between(old: &Row, new: &Row) -> Result<Alteration> {
        let mut settings = Map::new();
        let mut compare = |setting: &str, before: Value, after: Value| {
            if before != after {
                settings.insert(setting.to_owned(), json!([before, after]));
            }
        };
        for (setting, read) in SETTINGS {
            compare(setting, read(old)?, read(new)?);
        }
        // One that a registration has found is nobody's decision.
        if new.require(c"naming_declared")? {
            let naming = |row: &Row| -> Result<Value> { Ok(json!(row.get::<String>(c"naming")?)) };
            compare("naming", naming(old)?, naming(new)?);
        }
        Ok(Alteration {
            project: Project::from_stored(new)?,
            settings,
        })
    }

    /// Whether nothing has changed that the history keeps.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The policy, where that is what changes.
    pub fn new_ordering(&self) -> Option<Ordering> {
        self.settings
            .get("ordering")?
            .get(1)?
            .as_str()?
            .parse()
            .ok()
    }
}

impl Ledger {
    /// Keeps the change, as a run of the role that made it. No other run of the project is touched:
    /// one may be going on.
    pub fn record_alteration(&self, alteration: &Alteration) -> Result<()> {
        const SQL: &str = "INSERT INTO belay.run (project_id, verb, ordering, transaction, arguments, role, session_role,
                      application_name, pid, backend_start, library_version, finished_at, outcome, applied, reverted)
               VALUES ($1, 'alter', $2, 'caller', $3, $4::text::name, $5::text::name, $6, $7, $8, $9,
                       pg_catalog.clock_timestamp(), 'succeeded', 0, 0)";
        let project = &alteration.project;
        let arguments = [
            bind(project.id),
            bind(project.ordering.to_string()),
            bind(JsonB(Value::Object(alteration.settings.clone()))),
            bind(identity::role_name(identity::acting_role())),
            bind(identity::role_name(identity::session_role())),
            bind(settings::get(c"application_name")),
            bind(client::pid()),
            bind(client::backend_start()),
            bind(LIBRARY_VERSION),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// What is pending, sorts before what is applied and was not accepted, in order, with the applied
    /// one that sorts last; as of now.
    pub fn late(&self, project: &Project) -> Result<Vec<(String, String)>> {
        const SQL: &str = "SELECT m.name, n.name
               FROM belay.find_late($1) f
               JOIN belay.migration m ON m.id = f.migration_id
              CROSS JOIN (SELECT x.name FROM belay.applied a JOIN belay.migration x ON x.id = a.migration_id
                           WHERE a.project_id = $1 ORDER BY a.sort_key DESC LIMIT 1) n
              ORDER BY f.sort_key";
        // As a writing query: it sees what was committed before the lock was taken.
        self.write(SQL, &[bind(project.id)], |row| {
            Ok((row.require(1)?, row.require(2)?))
        })
    }
}
