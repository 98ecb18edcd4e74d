//! `belay.column_change`: columns that are renamed or given another type while two code versions run.

use pgrx::pg_sys::Oid;

use super::Ledger;
use crate::error::Result;
use crate::pg::identity;
use crate::pg::spi::{Row, bind};

/// Which columns code may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The old one.
    Old,
    /// Both; the server keeps them in step.
    Both,
    /// The new one.
    New,
}

impl Phase {
    /// As the table has it.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Old => "old",
            Phase::Both => "both",
            Phase::New => "new",
        }
    }

    /// Seen from the other end.
    pub fn mirrored(self) -> Phase {
        match self {
            Phase::Old => Phase::New,
            Phase::Both => Phase::Both,
            Phase::New => Phase::Old,
        }
    }

    fn of_word(word: &str) -> Phase {
        match word {
            "new" => Phase::New,
            "both" => Phase::Both,
            _ => Phase::Old,
        }
    }
}

/// Two columns that are kept in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What was there first, with everything that belongs to it.
    pub source: String,
    /// What was added.
    pub copy: String,
    /// Whether each row is in step, and the copy has what the source has.
    pub complete: bool,
}

/// The types of a type change, and how values become each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types {
    /// The type in phase old, as format_type writes it.
    pub old: String,
    /// The type in phase new.
    pub new: String,
    /// Old to new: an expression over the column; `None` = a plain cast.
    pub forth: Option<String>,
    /// New to old.
    pub back: Option<String>,
}

/// One change.
#[derive(Debug, Clone)]
pub struct ColumnChange {
    /// Its number: in the names of what it makes.
    pub id: i64,
    /// The column's name in phase old.
    pub old: String,
    /// Its name in phase new; of a type change the second column's.
    pub new: String,
    /// `None` = a rename.
    pub types: Option<Types>,
    /// How far it is.
    pub phase: Phase,
    /// The columns that are kept in step now.
    pub pair: Option<Pair>,
}

fn change(row: Row<'_, '_>) -> Result<ColumnChange> {
    let types = match row.get::<String>(5)? {
        None => None,
        Some(new) => Some(Types {
            old: row.require(4)?,
            new,
            forth: row.get(6)?,
            back: row.get(7)?,
        }),
    };
    let pair = match (row.get::<String>(9)?, row.get::<String>(10)?) {
        (Some(source), Some(copy)) => Some(Pair {
            source,
            copy,
            complete: row.require(11)?,
        }),
        _ => None,
    };
    Ok(ColumnChange {
        id: row.require(1)?,
        old: row.require(2)?,
        new: row.require(3)?,
        types,
        phase: Phase::of_word(&row.require::<String>(8)?),
        pair,
    })
}

impl Ledger {
    /// All changes of a table, oldest first.
    pub fn column_changes(&self, table: Oid) -> Result<Vec<ColumnChange>> {
        const SQL: &str = "SELECT id, old_column::text, new_column::text, old_type, new_type, using_expression, back_expression, phase,
                    source_column::text, copy_column::text, complete
               FROM belay.column_change WHERE relation = $1 ORDER BY id";
        self.select(SQL, &[bind(table)], change)
    }

    /// A new change, in phase old.
    pub fn add_column_change(
        &self,
        table: Oid,
        old: &str,
        new: &str,
        types: Option<&Types>,
    ) -> Result<ColumnChange> {
        const SQL: &str = "INSERT INTO belay.column_change (relation, old_column, new_column, old_type, new_type, using_expression, back_expression, phase, changed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'old', $8) RETURNING id";
        let arguments = [
            bind(table),
            bind(old),
            bind(new),
            bind(types.map(|types| types.old.as_str())),
            bind(types.map(|types| types.new.as_str())),
            bind(types.and_then(|types| types.forth.as_deref())),
            bind(types.and_then(|types| types.back.as_deref())),
            bind(identity::role_name(identity::current_role())),
        ];
        let id = self.write(SQL, &arguments, |row| row.require::<i64>(1))?;
        Ok(ColumnChange {
            id: id.first().copied().unwrap_or_default(),
            old: old.to_owned(),
            new: new.to_owned(),
            types: types.cloned(),
            phase: Phase::Old,
            pair: None,
        })
    }

    /// Writes how far a change is.
    pub fn note_column_change(&self, change: &ColumnChange) -> Result<()> {
        const SQL: &str = "UPDATE belay.column_change SET phase = $2, source_column = $3, copy_column = $4, complete = $5,
                    changed_at = pg_catalog.clock_timestamp(), changed_by = $6 WHERE id = $1";
        let pair = change.pair.as_ref();
        let arguments = [
            bind(change.id),
            bind(change.phase.word()),
            bind(pair.map(|pair| pair.source.as_str())),
            bind(pair.map(|pair| pair.copy.as_str())),
            bind(pair.is_some_and(|pair| pair.complete)),
            bind(identity::role_name(identity::current_role())),
        ];
        self.execute(SQL, &arguments)?;
        Ok(())
    }

    /// Forgets a change that is over; what it left is the table as it is.
    pub fn forget_column_change(&self, id: i64) -> Result<()> {
        self.execute("DELETE FROM belay.column_change WHERE id = $1", &[bind(id)])?;
        Ok(())
    }

    /// Forgets the changes of tables that have gone.
    pub fn forget_changes_of_dropped_tables(&self) -> Result<()> {
        const SQL: &str = "DELETE FROM belay.column_change c
              WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = c.relation)";
        self.execute(SQL, &[])?;
        Ok(())
    }
}
