//! Strict: what is applied is a prefix of the registry's order, but for what was reviewed.

use std::cell::RefCell;

use pgrx::pg_sys::Oid;

use super::{Applied, Passed};
use crate::error::{Code, Failure, Result};
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key, Order, Seen, Table};
use crate::pg::transaction;

impl Applied {
    /// Refuses one that sorts before what was applied before it, unless a review let it, and one
    /// that leaves a hole: something sorts before it and was pending then.
    pub(super) fn refuse_disorder(&self) -> Result<()> {
        if self.find_passed(|other| Some(Ok(other)))?.is_some() {
            let review = self.review()?;
            let unseen = |other: Passed| match review.as_ref().is_some_and(|r| r.covers(&other)) {
                true => None,
                false => Some(Ok(other)),
            };
            if let Some(other) = self.find_passed(unseen)? {
                return Err(self.late(&other)?);
            }
        }
        match self.find_hole()? {
            Some(other) => Err(self.hole(other)?),
            None => {
                Whole::remember(self);
                Ok(())
            }
        }
    }

    /// What sorts before it and was pending when it was applied.
    fn find_hole(&self) -> Result<Option<i64>> {
        let earlier = |other: &Row| match since(other) {
            Ok((_, since)) if since >= self.position => None,
            found => Some(found),
        };
        let whole = Whole::before(self);
        let mut keys = Vec::from(self.beside(Compare::Less));
        if let Some(whole) = &whole {
            keys.push(Key(
                c"sort_key",
                Compare::Greater,
                Field::Bytes(&whole.sort_key),
            ));
        }
        let hole = Table::open(self.schema, c"pending")?.find(
            c"pending_sort_key_key",
            &keys,
            Order::Ascending,
            Seen::Now,
            earlier,
        )?;
        Ok(hole.transpose()?.map(|(other, _)| other))
    }

    fn late(&self, other: &Passed) -> Result<Failure> {
        let (name, other) = (
            self.name_of(self.migration)?,
            self.name_of(other.migration)?,
        );
        Ok(Failure::new(
            Code::Late,
            format!("migration \"{name}\" sorts before \"{other}\", which is applied already"),
            self.late_hint(&name)?,
        )
        .detail(STRICT))
    }

    fn hole(&self, other: i64) -> Result<Failure> {
        let (name, other) = (self.name_of(self.migration)?, self.name_of(other)?);
        Ok(Failure::new(
            Code::Late,
            format!("migration \"{name}\" sorts after \"{other}\", which is pending"),
            "CALL belay.migrate_up() applies in order; belay.migrate_rename() gives a late migration a later name",
        )
        .detail(STRICT))
    }
}

const STRICT: &str = "The ordering is strict: what is applied is a prefix of the registry's order.";

/// A migration's id, and since when it is pending.
fn since(row: &Row) -> Result<(i64, i64)> {
    Ok((row.require(c"migration_id")?, row.require(c"since")?))
}

/// The last place up to which this transaction has found nothing pending. A run in one transaction
/// would otherwise pass, for each migration, over the entries of all that it has applied before.
#[derive(Debug, Clone)]
struct Whole {
    transaction: (u64, u32),
    schema: Oid,
    project: i32,
    sort_key: Vec<u8>,
    position: i64,
}

thread_local! {
    static WHOLE: RefCell<Option<Whole>> = const { RefCell::new(None) };
}

impl Whole {
    /// What was found for the position just before; no clock was drawn in between, so nothing has
    /// become pending since then.
    fn before(applied: &Applied) -> Option<Whole> {
        WHOLE.with_borrow(|whole| {
            whole
                .as_ref()
                .filter(|whole| {
                    whole.transaction == transaction::current()
                        && whole.schema == applied.schema
                        && whole.project == applied.project
                        && whole.sort_key < applied.sort_key
                        && whole.position + 1 == applied.position
                })
                .cloned()
        })
    }

    fn remember(applied: &Applied) {
        WHOLE.set(Some(Whole {
            transaction: transaction::current(),
            schema: applied.schema,
            project: applied.project,
            sort_key: applied.sort_key.clone(),
            position: applied.position,
        }));
    }
}
