//! The registry: which migrations exist, and their immutable definitions.

mod text;
mod write;

use belay_core::directive::Pair;
use belay_core::naming::{Phase, ReleaseName};
use belay_core::plan::Entry;

use super::Ledger;
use super::facts::Traits;
use super::project::Project;
use crate::error::Result;
use crate::pg::spi::{Row, bind};

pub use text::Text;

/// A registered migration, as far as a load compares it.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its place in the order.
    pub sort_key: Vec<u8>,
    /// Checksum of its definition.
    pub checksum: String,
    /// Whether it is in force.
    pub applied: bool,
    /// Whether it came by a load.
    pub loaded: bool,
    /// Whether the last load lacked it.
    pub missing: bool,
    /// Whether a non-transactional run of it has begun and not ended.
    pub unfinished: bool,
    /// What the plan and the engine read from the directives, to be compared too.
    pub attributes: Attributes,
}

/// What a definition says beside its SQL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Whether up runs in a transaction.
    pub up_transaction: bool,
    /// Whether down runs in a transaction.
    pub down_transaction: bool,
    /// Names that must be applied before.
    pub requires: Vec<String>,
    /// The other half of a pair.
    pub pairs_with: Option<String>,
    /// Whether a down may split the pair.
    pub indivisible: bool,
    /// Of up, in milliseconds; `None` = belay.lock_timeout.
    pub up_lock_timeout: Option<i32>,
    /// Of down, in milliseconds; `None` = belay.lock_timeout.
    pub down_lock_timeout: Option<i32>,
    /// Of up, attempts after the first; `None` = belay.lock_retries.
    pub up_lock_retries: Option<i32>,
    /// Of down, attempts after the first; `None` = belay.lock_retries.
    pub down_lock_retries: Option<i32>,
    /// Whether up takes rights that a deploying role may lack; `None` = 0.1.0 registered it and did not look.
    pub up_privileged: Option<bool>,
    /// The same of down; false without one.
    pub down_privileged: Option<bool>,
    /// Whether a directive says so, in up or down, rather than the statements.
    pub privileged_said: bool,
    /// Rules of the contract that up is let off, each with its reason: `RULE reason`.
    pub waivers: Vec<String>,
}

impl Attributes {
    /// Whether up or down is known to be privileged.
    pub fn is_privileged(&self) -> bool {
        self.up_privileged == Some(true) || self.down_privileged == Some(true)
    }

    /// Whether `new`, of the same texts, says the same; what 0.1.0 did not look for is no difference.
    pub fn agree_with(&self, new: &Attributes) -> bool {
        let known = Attributes {
            up_privileged: self.up_privileged.or(new.up_privileged),
            down_privileged: self.down_privileged.or(new.down_privileged),
            ..self.clone()
        };
        known == *new
    }
}

/// A definition to be stored.
#[derive(Debug, Clone)]
pub struct NewMigration {
    /// The name.
    pub name: String,
    /// Its place in the order.
    pub sort_key: Vec<u8>,
    /// Release and phase, where the naming has them.
    pub release: Option<(String, Phase)>,
    /// Checksum over the tokens of both texts.
    pub checksum: String,
    /// The text of up.
    pub up: String,
    /// The text of down.
    pub down: Option<String>,
    /// The file up came from, and the line at which it begins there.
    pub up_origin: (Option<String>, i32),
    /// The same of down.
    pub down_origin: (Option<String>, i32),
    /// The directives.
    pub attributes: Attributes,
}

/// The columns an [`Entry`] is made of, in the order of [`entry_from`]; `m` is belay.migration.
macro_rules! entry_columns {
    () => {
        "m.id, m.name, m.sort_key, m.requires, m.pairs_with, m.indivisible, m.reversible, m.release, m.phase, m.registered_by::text, m.up_transaction, m.down_transaction, m.definition_id"
    };
}
pub(super) use entry_columns;

/// A planner's entry and what else is known of it.
pub(super) fn entry_from(row: &Row<'_, '_>) -> Result<(Entry, Traits)> {
    let pair: Option<String> = row.get(5)?;
    let indivisible = row.require(6)?;
    let release: Option<String> = row.get(8)?;
    let phase: Option<String> = row.get(9)?;
    let entry = Entry {
        id: row.require(1)?,
        name: row.require(2)?,
        key: row.require(3)?,
        requires: row.require(4)?,
        pair: pair.map(|name| Pair { name, indivisible }),
        reversible: row.require(7)?,
        release: release.and_then(|release| release.parse().ok()),
        phase: phase.and_then(|phase| phase.parse().ok()),
        up_transaction: row.require(11)?,
        acceptance: None,
    };
    let traits = Traits {
        registrant: row.require::<String>(10)?.into(),
        up_transaction: row.require(11)?,
        down_transaction: row.require(12)?,
        definition_id: row.require(13)?,
    };
    Ok((entry, traits))
}

/// Release and phase of a name, where it has them.
pub fn release_of(name: &str) -> Option<(String, Phase)> {
    let parsed = ReleaseName::parse(name).ok()?;
    Some((parsed.release.to_string(), parsed.phase))
}

/// What [`registered_from`] reads, of project $1.
macro_rules! registered_of_project {
    () => {
        "SELECT m.id, m.name, m.sort_key, m.checksum, a.position IS NOT NULL, m.loaded, m.missing,
                    u.migration_id IS NOT NULL, m.up_transaction, m.down_transaction, m.requires,
                    m.pairs_with, m.indivisible, m.up_lock_timeout, m.down_lock_timeout,
                    m.up_lock_retries, m.down_lock_retries,
                    m.up_privileged, m.down_privileged, m.privileged_said, m.waivers
               FROM belay.migration m
               LEFT JOIN belay.applied a ON a.migration_id = m.id
               LEFT JOIN belay.unfinished u ON u.migration_id = m.id
              WHERE m.project_id = $1"
    };
}

impl Ledger {
    /// Everything registered in a project, by name: what a load compares against.
    pub fn registered(&self, project: &Project) -> Result<Vec<Registered>> {
        const SQL: &str = registered_of_project!();
        self.select(SQL, &[bind(project.id)], |row| registered_from(&row))
    }

    /// One registered migration, locked against a run and another registration.
    pub fn lock_registered(&self, project: &Project, name: &str) -> Result<Option<Registered>> {
        const LOCK: &str =
            "SELECT id FROM belay.migration WHERE project_id = $1 AND name = $2 FOR UPDATE";
        const SQL: &str = concat!(registered_of_project!(), " AND m.name = $2");
        self.write(LOCK, &[bind(project.id), bind(name)], |row| {
            row.require::<i64>(1)
        })?;
        self.select_one(SQL, &[bind(project.id), bind(name)], |row| {
            registered_from(&row)
        })
    }

    /// The first other migration between two places in the order.
    pub fn between(
        &self,
        project: &Project,
        one: &[u8],
        other: &[u8],
        but: i64,
    ) -> Result<Option<String>> {
        const SQL: &str = "SELECT name FROM belay.migration
              WHERE project_id = $1 AND id <> $4 AND sort_key > least($2, $3) AND sort_key < greatest($2, $3)
              ORDER BY sort_key LIMIT 1";
        let arguments = [bind(project.id), bind(one), bind(other), bind(but)];
        self.select_one(SQL, &arguments, |row| row.require(1))
    }
}

fn registered_from(row: &Row<'_, '_>) -> Result<Registered> {
    Ok(Registered {
        id: row.require(1)?,
        name: row.require(2)?,
        sort_key: row.require(3)?,
        checksum: row.require(4)?,
        applied: row.require(5)?,
        loaded: row.require(6)?,
        missing: row.require(7)?,
        unfinished: row.require(8)?,
        attributes: Attributes {
            up_transaction: row.require(9)?,
            down_transaction: row.require(10)?,
            requires: row.require(11)?,
            pairs_with: row.get(12)?,
            indivisible: row.require(13)?,
            up_lock_timeout: row.get(14)?,
            down_lock_timeout: row.get(15)?,
            up_lock_retries: row.get(16)?,
            down_lock_retries: row.get(17)?,
            up_privileged: row.get(18)?,
            down_privileged: row.get(19)?,
            privileged_said: row.require(20)?,
            waivers: row.require(21)?,
        },
    })
}
