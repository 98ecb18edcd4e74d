//! The text of a migration that is about to run, and what it says of its locks.

use belay_core::plan::Direction;

use crate::error::Result;
use crate::ledger::Ledger;
use crate::pg::row as stored;
use crate::pg::spi::bind;
use crate::pg::table::Table;
use crate::pg::{cancel, identity};

/// The text of one direction of a definition, about to run.
#[derive(Debug, Clone)]
pub struct Text {
    /// Its definition's id.
    pub definition_id: i64,
    /// Checksum of the definition.
    pub checksum: String,
    /// The SQL; `None` = no down.
    pub sql: Option<String>,
    /// The file it came from.
    pub file: Option<String>,
    /// The line of that file at which the text begins.
    pub line: i32,
    /// Milliseconds; `None` = belay.lock_timeout.
    pub lock_timeout: Option<i32>,
    /// Rules of the contract that it is let off, `RULE reason`; a down has none.
    pub waivers: Vec<String>,
    /// The migration's place in the order.
    pub sort_key: Vec<u8>,
}

/// What a migration says of waiting for locks in one direction; `None`: the settings hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct LockLimits {
    /// Milliseconds.
    pub timeout: Option<i32>,
    /// Attempts after the first.
    pub retries: Option<i32>,
}

/// Definition, lock timeout, place and waivers of a registered migration.
type Registered = (i64, Option<i32>, Vec<u8>, Vec<String>);

impl Ledger {
    /// Whether current_user may read the texts of all projects.
    pub fn may_read_texts(&self) -> Result<bool> {
        const SQL: &str = "SELECT pg_catalog.has_table_privilege($1, 'belay.definition', 'SELECT')";
        let role = bind(identity::current_role());
        Ok(self
            .select_one(SQL, &[role], |row| row.require(1))?
            .unwrap_or(false))
    }

    /// How long and how often a migration tries to get its locks.
    pub fn lock_limits(&self, migration: i64, direction: Direction) -> Result<Option<LockLimits>> {
        const SQL: &str = "SELECT CASE WHEN $2 THEN up_lock_timeout ELSE down_lock_timeout END,
                    CASE WHEN $2 THEN up_lock_retries ELSE down_lock_retries END
               FROM belay.migration WHERE id = $1";
        let arguments = [bind(migration), bind(direction == Direction::Up)];
        self.select_one(SQL, &arguments, |row| {
            Ok(LockLimits {
                timeout: row.get(1)?,
                retries: row.get(2)?,
            })
        })
    }

    /// The text about to run; its definition is locked against replacement until the transaction ends.
    pub fn lock_text(&self, migration: i64, direction: Direction) -> Result<Option<Text>> {
        let (sql, file, line, lock_timeout) = match direction {
            Direction::Up => (c"up", c"up_file", c"up_line", c"up_lock_timeout"),
            Direction::Down => (c"down", c"down_file", c"down_line", c"down_lock_timeout"),
        };
        let schema = self.installed.schema;
        let registered = |row: &stored::Row| -> Result<Registered> {
            Ok((
                row.require(c"definition_id")?,
                row.get(lock_timeout)?,
                row.require(c"sort_key")?,
                match direction {
                    Direction::Up => row.get(c"waivers")?.unwrap_or_default(),
                    Direction::Down => Vec::new(),
                },
            ))
        };
        let migrations = Table::open_to_write(schema, c"migration")?;
        let found =
            cancel::allow(|| migrations.lock(c"migration_pkey", c"id", migration, registered))?
                .transpose()?;
        let Some((definition_id, lock_timeout, sort_key, waivers)) = found else {
            return Ok(None);
        };
        let text = |row: &stored::Row| -> Result<Text> {
            Ok(Text {
                definition_id,
                checksum: row.require(c"checksum")?,
                sql: row.get(sql)?,
                file: row.get(file)?,
                line: row.require(line)?,
                lock_timeout,
                waivers: waivers.clone(),
                sort_key: sort_key.clone(),
            })
        };
        Table::open(schema, c"definition")?
            .get(c"definition_pkey", c"id", definition_id, text)?
            .transpose()
    }
}
