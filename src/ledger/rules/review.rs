//! The review that let a late migration run: `migrate_accept_late` wrote it down as a step.

use super::{Applied, Passed};
use crate::error::Result;
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key, Order, Seen, Table};

/// The last one that this text was given before it was applied.
pub(super) struct Review {
    /// Its step: what was applied since then has a later one.
    step: i64,
    /// The place after which the migration may run; `None`: what stood there is not registered any more.
    after: Option<Vec<u8>>,
}

impl Review {
    /// Whether it has seen that migration, as it is applied now.
    pub(super) fn covers(&self, other: &Passed) -> bool {
        other.step < self.step
            && self
                .after
                .as_ref()
                .is_some_and(|after| other.sort_key <= *after)
    }
}

impl Applied {
    /// The review, where there is one.
    pub(super) fn review(&self) -> Result<Option<Review>> {
        let keys = [
            Key(c"migration_id", Compare::Equal, Field::Big(self.migration)),
            Key(c"id", Compare::Less, Field::Big(self.step)),
        ];
        let accepted = |step: &Row| -> Result<Option<(i64, i64)>> {
            let accepted = step.get::<String>(c"outcome")?.as_deref() == Some("accepted")
                && step.require::<String>(c"checksum")? == self.checksum;
            Ok(match accepted {
                true => Some((step.require(c"id")?, step.require(c"accepted_after")?)),
                false => None,
            })
        };
        let found = Table::open(self.schema, c"step")?.find(
            c"step_migration",
            &keys,
            Order::Descending,
            Seen::Now,
            |step| accepted(step).transpose(),
        )?;
        let Some((step, after)) = found.transpose()? else {
            return Ok(None);
        };
        let place = |migration: &Row| migration.require::<Vec<u8>>(c"sort_key");
        let migrations = Table::open(self.schema, c"migration")?;
        let after = migrations.get(c"migration_pkey", c"id", after, place)?;
        Ok(Some(Review {
            step,
            after: after.transpose()?,
        }))
    }
}
