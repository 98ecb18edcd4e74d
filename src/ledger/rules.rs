//! The rule of belay.applied, as its trigger applies it to each row, whoever writes it.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys::Oid;

use super::seal;
use crate::error::{Code, Failure, Result};
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key, Order, Seen, Table};
use crate::pg::transaction;
use crate::pg::trigger::{self, Event};

/// A row of belay.applied.
struct Applied {
    schema: Oid,
    migration: i64,
    project: i32,
    sort_key: Vec<u8>,
    position: i64,
    step: i64,
    checksum: String,
}

/// Takes the migration out of belay.pending; refuses a row that no step made (MG015) and one
/// that breaks the policy of the step's run (MG001).
pub fn judge_applied(event: &Event) -> Result<()> {
    if !seal::is_sealed(event.schema)? {
        return Ok(());
    }
    let applied = Applied {
        schema: event.schema,
        migration: event.row.require(c"migration_id")?,
        project: event.row.require(c"project_id")?,
        sort_key: event.row.require(c"sort_key")?,
        position: event.row.require(c"position")?,
        step: event.row.require(c"step_id")?,
        checksum: event.row.require(c"checksum")?,
    };
    trigger::see_the_statement();
    Table::open_to_write(applied.schema, c"pending")?.delete(
        c"pending_pkey",
        c"migration_id",
        applied.migration,
    )?;
    let run = match Made::just_now(&applied) {
        Some(run) => run,
        None => match applied.run_of_its_step()? {
            Some(run) if applied.is_in_its_place()? => run,
            _ => return Err(applied.not_made()),
        },
    };
    match applied.is_strict(run)? {
        true => applied.refuse_disorder(),
        false => Ok(()),
    }
}

impl Applied {
    /// The run whose step applied it, where there is one.
    fn run_of_its_step(&self) -> Result<Option<i64>> {
        let made = |step: &Row| -> Result<Option<i64>> {
            let made = step.require::<i64>(c"migration_id")? == self.migration
                && step.require::<i32>(c"project_id")? == self.project
                && step.require::<String>(c"checksum")? == self.checksum
                && step.require::<String>(c"direction")? == "up"
                && step.get::<String>(c"outcome")?.as_deref() != Some("failed");
            Ok(if made { step.get(c"run_id")? } else { None })
        };
        let found = Table::open(self.schema, c"step")?.get(c"step_pkey", c"id", self.step, made)?;
        Ok(found.transpose()?.flatten())
    }

    /// Whether its place is that of its migration.
    fn is_in_its_place(&self) -> Result<bool> {
        let same = |migration: &Row| -> Result<bool> {
            Ok(migration.require::<i32>(c"project_id")? == self.project
                && migration.require::<Vec<u8>>(c"sort_key")? == self.sort_key)
        };
        let migrations = Table::open(self.schema, c"migration")?;
        let found = migrations.get(c"migration_pkey", c"id", self.migration, same)?;
        Ok(found.transpose()?.unwrap_or(false))
    }

    /// Whether the run promised strict order.
    fn is_strict(&self, run: i64) -> Result<bool> {
        let ordering = |run: &Row| run.require::<String>(c"ordering");
        let found = Table::open(self.schema, c"run")?.get(c"run_pkey", c"id", run, ordering)?;
        Ok(found
            .transpose()?
            .is_none_or(|ordering| ordering == "strict"))
    }

    /// Positions rise, so the row is late exactly if its neighbour in the order was applied
    /// before it, and it leaves a hole exactly if something that sorts before it was pending then.
    fn refuse_disorder(&self) -> Result<()> {
        let neighbour = |other: &Row| Some(position_of(other, c"position"));
        let later = Table::open(self.schema, c"applied")?.find(
            c"applied_sort_key_key",
            &self.beside(Compare::Greater),
            Order::Ascending,
            Seen::Now,
            neighbour,
        )?;
        if let Some((other, position)) = later.transpose()?
            && position < self.position
        {
            return Err(self.disorder("sorts before", other, "applied already")?);
        }
        let earlier = |other: &Row| match position_of(other, c"since") {
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
        match hole.transpose()? {
            Some((other, _)) => Err(self.disorder("sorts after", other, "pending")?),
            None => {
                Whole::remember(self);
                Ok(())
            }
        }
    }

    fn beside(&self, compare: Compare) -> [Key<'_>; 2] {
        [
            Key(c"project_id", Compare::Equal, Field::Int(self.project)),
            Key(c"sort_key", compare, Field::Bytes(&self.sort_key)),
        ]
    }

    fn not_made(&self) -> Failure {
        Failure::new(
            Code::Protected,
            format!(
                "belay.applied cannot hold migration {}: no step of that migration, project and place applied it",
                self.migration
            ),
            "CALL belay.migrate_up() applies what is pending",
        )
    }

    fn disorder(&self, how: &str, other: i64, state: &str) -> Result<Failure> {
        let migrations = Table::open(self.schema, c"migration")?;
        let name = |id: i64| -> Result<String> {
            let found = migrations.get(c"migration_pkey", c"id", id, |row| row.require(c"name"))?;
            Ok(found.transpose()?.unwrap_or_default())
        };
        let (name, other) = (name(self.migration)?, name(other)?);
        Ok(Failure::new(
            Code::Late,
            format!("migration \"{name}\" {how} \"{other}\", which is {state}"),
            "CALL belay.migrate_up() applies in order; belay.migrate_rename() gives a late migration a later name",
        )
        .detail("The ordering is strict: what is applied is a prefix of the registry's order."))
    }
}

/// The step that the engine has just written for the row it is about to add: what that row says of
/// itself need not be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The step.
    pub step: i64,
    /// Its migration, whose place is in the row.
    pub migration: i64,
    /// Its run.
    pub run: i64,
}

thread_local! {
    static MADE: Cell<Option<Made>> = const { Cell::new(None) };
}

/// Also when an error takes us out.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        MADE.set(None);
    }
}

impl Made {
    /// Adds the row by `insert`.
    pub fn by_step<T>(self, insert: impl FnOnce() -> T) -> T {
        MADE.set(Some(self));
        let _forget = Forget;
        insert()
    }

    /// The run, when the row is the one of the step just written.
    fn just_now(applied: &Applied) -> Option<i64> {
        let made = MADE.take()?;
        (made.step == applied.step && made.migration == applied.migration).then_some(made.run)
    }
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

/// A migration's id, and where a column of the ledger clock says it stands.
fn position_of(row: &Row, column: &std::ffi::CStr) -> Result<(i64, i64)> {
    Ok((row.require(c"migration_id")?, row.require(column)?))
}
