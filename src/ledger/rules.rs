//! The rule of belay.applied, as its trigger applies it to each row, whoever writes it.

mod disjoint;
mod made;
mod review;
mod strict;

use belay_core::order::Ordering;
use pgrx::pg_sys::Oid;

use super::next_name::next_names;
use super::seal;
use crate::error::{Code, Failure, Result};
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key, Order, Seen, Table};
use crate::pg::trigger::{self, Event};

pub use made::Made;

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

/// A migration that was applied before and sorts after the one that is judged.
struct Passed {
    migration: i64,
    sort_key: Vec<u8>,
    step: i64,
}

/// Takes the migration out of belay.pending; refuses a row that no step made (MG015) and one
/// that breaks the policy (MG001).
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
    match applied.policy(run)? {
        Ordering::Strict => applied.refuse_disorder(),
        Ordering::Disjoint => applied.refuse_meeting(),
        Ordering::Permissive => Ok(()),
    }
}

impl Applied {
    /// The run whose step applied it, where there is one.
    fn run_of_its_step(&self) -> Result<Option<i64>> {
        let made = |step: &Row| -> Result<Option<i64>> {
            let outcome = step.get::<String>(c"outcome")?;
            let made = step.require::<i64>(c"migration_id")? == self.migration
                && step.require::<i32>(c"project_id")? == self.project
                && step.require::<String>(c"checksum")? == self.checksum
                && step.require::<String>(c"direction")? == "up"
                && !matches!(outcome.as_deref(), Some("failed" | "accepted"));
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

    /// What is promised: by the run; by the project, where the run is looser and says no reason.
    fn policy(&self, run: i64) -> Result<Ordering> {
        let said = |row: &Row| -> Result<(Ordering, bool)> {
            let reason = row.get::<String>(c"reason")?;
            let given = reason.is_some_and(|reason| !reason.trim().is_empty());
            Ok((ordering_of(row)?, given))
        };
        let found = Table::open(self.schema, c"run")?.get(c"run_pkey", c"id", run, said)?;
        let (of_run, reasoned) = found.transpose()?.unwrap_or((Ordering::Strict, false));
        if of_run == Ordering::Strict || reasoned {
            return Ok(of_run);
        }
        let keys = [Key(c"id", Compare::Equal, Field::Int(self.project))];
        let found = Table::open(self.schema, c"project")?.find(
            c"project_pkey",
            &keys,
            Order::Ascending,
            Seen::Now,
            |row| Some(ordering_of(row)),
        )?;
        Ok(match found.transpose()? {
            Some(of_project) if of_run.loosens(of_project) => of_project,
            _ => of_run,
        })
    }

    /// The first that this one was applied after although it sorts before it, for which `pick` has
    /// an answer. Positions rise, so that for a new row these are all that sort after it.
    fn find_passed<T>(
        &self,
        mut pick: impl FnMut(Passed) -> Option<Result<T>>,
    ) -> Result<Option<T>> {
        let table = Table::open(self.schema, c"applied")?;
        let migration = table.column(c"migration_id")?;
        let sort_key = table.column(c"sort_key")?;
        let position = table.column(c"position")?;
        let step = table.column(c"step_id")?;
        // All of them are NOT NULL.
        let passed = |other: &Row| {
            let passed = Passed {
                migration: other.get_at(migration)?,
                sort_key: other.get_at(sort_key)?,
                step: other.get_at(step)?,
            };
            (other.get_at::<i64>(position)? < self.position).then_some(passed)
        };
        let found = table.find(
            c"applied_sort_key_key",
            &self.beside(Compare::Greater),
            Order::Ascending,
            Seen::Now,
            |other| passed(other).and_then(&mut pick),
        )?;
        found.transpose()
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

    /// The name of a migration.
    fn name_of(&self, migration: i64) -> Result<String> {
        let name = |row: &Row| row.require(c"name");
        let migrations = Table::open(self.schema, c"migration")?;
        let found = migrations.get(c"migration_pkey", c"id", migration, name)?;
        Ok(found.transpose()?.unwrap_or_default())
    }

    /// The ways out for a late one: another name, or a review.
    fn late_hint(&self, name: &str) -> Result<String> {
        let mut new = next_names(self.schema, self.project, &[name.to_owned()])?;
        let new = new.pop().flatten();
        let project = self.project_argument()?;
        let newest = self.newest_other()?.unwrap_or_default();
        Ok(format!(
            "rename it so that it sorts after \"{newest}\": SELECT belay.migrate_rename({own}, {}{project}); \
             or after review let it run late: SELECT belay.migrate_accept_late({own}, after => {}, reason => '...'{project})",
            new.map_or("<new name>".to_owned(), |name| literal(&name)),
            literal(&newest),
            own = literal(name),
        ))
    }

    /// The name of what is applied beside this one and sorts last.
    fn newest_other(&self) -> Result<Option<String>> {
        let keys = [Key(c"project_id", Compare::Equal, Field::Int(self.project))];
        let other = |row: &Row| match row.require::<i64>(c"migration_id") {
            Ok(other) if other == self.migration => None,
            found => Some(found),
        };
        let found = Table::open(self.schema, c"applied")?.find(
            c"applied_sort_key_key",
            &keys,
            Order::Descending,
            Seen::Now,
            other,
        )?;
        found.transpose()?.map(|id| self.name_of(id)).transpose()
    }

    /// The last argument of a call in a project that is not the default.
    fn project_argument(&self) -> Result<String> {
        let keys = [Key(c"id", Compare::Equal, Field::Int(self.project))];
        let found = Table::open(self.schema, c"project")?.find(
            c"project_pkey",
            &keys,
            Order::Ascending,
            Seen::Now,
            |row| Some(row.require::<String>(c"name")),
        )?;
        let name = found.transpose()?.unwrap_or_default();
        Ok(match name.as_str() {
            super::project::DEFAULT => String::new(),
            name => format!(", project => {}", literal(name)),
        })
    }
}

fn literal(text: &str) -> String {
    pgrx::spi::quote_literal(text)
}

/// The policy that a row of belay.run or belay.project holds.
fn ordering_of(row: &Row) -> Result<Ordering> {
    let word = row.require::<String>(c"ordering")?;
    Ok(word.parse().unwrap_or(Ordering::Strict))
}
