//! Which migrations take rights that a deploying role may lack, with their texts: read only for a
//! call that refuses them.

use belay_core::plan::Direction;

use super::Ledger;
use crate::error::Result;
use crate::pg::spi::bind;

/// A migration of which a direction is privileged, or was never looked at.
#[derive(Debug)]
pub struct Suspect {
    /// Its id.
    pub migration: i64,
    up_privileged: Option<bool>,
    down_privileged: Option<bool>,
    up: String,
    down: Option<String>,
}

impl Suspect {
    /// The text of a direction.
    pub fn text(&self, direction: Direction) -> &str {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => self.down.as_deref().unwrap_or_default(),
        }
    }

    /// Whether a direction is privileged; `None` = 0.1.0 registered it and did not look.
    pub fn is_privileged(&self, direction: Direction) -> Option<bool> {
        match direction {
            Direction::Up => self.up_privileged,
            Direction::Down => self.down_privileged,
        }
    }
}

impl Ledger {
    /// The suspects among these migrations.
    pub fn suspects(&self, migrations: Vec<i64>) -> Result<Vec<Suspect>> {
        const SQL: &str = "SELECT m.id, m.up_privileged, m.down_privileged, d.up, d.down
               FROM belay.migration m JOIN belay.definition d ON d.id = m.definition_id
              WHERE m.id = ANY ($1) AND (m.privileged OR m.up_privileged IS NULL)";
        self.select(SQL, &[bind(migrations)], |row| {
            Ok(Suspect {
                migration: row.require(1)?,
                up_privileged: row.get(2)?,
                down_privileged: row.get(3)?,
                up: row.require(4)?,
                down: row.get(5)?,
            })
        })
    }
}
