//! Before a concurrent statement begins: an index that somebody else has made, or is making, is not
//! made again.

use super::Stepwise;
use crate::engine::build::Builds;
use crate::engine::leftovers;
use crate::error::Result;
use crate::ledger::index::Existing;
use crate::ledger::unfinished::Progress;
use crate::pg::lock::HeldTable;
use crate::pg::parse::{self, Alone, Kind, Statement, Target};
use crate::pg::{client, transaction, twin};

/// Whether a statement waits for other sessions' transactions as long as they take.
pub(super) fn is_concurrent(statement: &Statement) -> bool {
    matches!(
        statement.kind,
        Kind::Alone(
            Alone::CreateIndex | Alone::DropIndex | Alone::Reindex | Alone::DetachPartition
        )
    )
}

/// What a concurrent statement finds.
pub(super) enum Ground {
    /// It has to run; the lock of its table is held until this is dropped.
    Clear(Option<HeldTable>),
    /// The index that it makes is there.
    Made,
}

impl Stepwise<'_> {
    /// Gets what a concurrent statement needs before it begins. The index that it makes may be there
    /// already; an INVALID one is waited for while somebody builds it, and removed when nobody does.
    pub(super) fn prepare(&self, statement: &Statement) -> Result<Ground> {
        let builds = self.builds();
        loop {
            let before = builds.look(|| self.existing(statement))?;
            let is_it = match &before {
                Some(index) => self.is_made_by(statement, index)?,
                None => false,
            };
            if let (Some(index), true) = (&before, is_it) {
                builds.wait_for_builder(index)?;
            }
            let held = self.hold_table(statement)?;
            // Under the lock nobody begins a build or ends one.
            let now = builds.look(|| self.existing(statement))?;
            if now.as_ref().map(|index| index.id) != before.map(|index| index.id) {
                continue;
            }
            return match now {
                Some(index) if is_it => self.take_over(&index, held),
                _ => Ok(Ground::Clear(held)),
            };
        }
    }

    /// The index that is wanted is there, and nobody is at work on it.
    fn take_over(&self, index: &Existing, held: Option<HeldTable>) -> Result<Ground> {
        let (migration, name) = (self.this.name(), &index.name);
        if index.valid {
            client::notice(format!("{migration}: index \"{name}\" is there and valid"));
            return Ok(Ground::Made);
        }
        if self.builds().drop_invalid(index)? {
            client::notice(format!(
                "{migration}: removed invalid index \"{name}\", which nobody was building"
            ));
        }
        Ok(Ground::Clear(held))
    }

    /// Before what an earlier session left is looked at: nobody is at work on it afterwards.
    pub(super) fn hold_remains(
        &self,
        statement: &Statement,
        progress: &Progress,
    ) -> Result<Option<HeldTable>> {
        if !is_concurrent(statement) {
            return Ok(None);
        }
        let builds = self.builds();
        let left = builds.look(|| match leftovers::index_of(progress.leaves.as_ref()) {
            Some((schema, name)) => self.this.ledger.find_index(schema, name),
            None => Ok(None),
        })?;
        match left {
            // Its table may be another than that of the statement, which may have been edited.
            Some(index) => {
                builds.wait_for_builder(&index)?;
                builds.hold(index.table)
            }
            None => self.hold_table(statement),
        }
    }

    fn builds(&self) -> Builds<'_> {
        Builds {
            ledger: self.this.ledger,
            project: self.this.project,
            mode: self.this.mode,
            migration: self.this.name(),
        }
    }

    fn hold_table(&self, statement: &Statement) -> Result<Option<HeldTable>> {
        let builds = self.builds();
        match builds.look(|| Ok(parse::table(statement)))? {
            Some(table) => builds.hold(table),
            None => Ok(None),
        }
    }

    /// An index under the name that a statement gives, on the statement's table.
    fn existing(&self, statement: &Statement) -> Result<Option<Existing>> {
        if statement.kind != Kind::Alone(Alone::CreateIndex) {
            return Ok(None);
        }
        let Some(Target { schema, name, .. }) = parse::target(statement) else {
            return Ok(None);
        };
        let found = self.this.ledger.find_index(schema.as_deref(), &name)?;
        Ok(found.filter(|index| parse::table(statement) == Some(index.table)))
    }

    /// Whether an index is what the statement makes.
    fn is_made_by(&self, statement: &Statement, index: &Existing) -> Result<bool> {
        let same = transaction::undone(self.this.mode, || {
            twin::make(self.script, statement, &index.table_quoted)?;
            self.this.ledger.are_same_index(index.id, twin::INDEX)
        });
        match same {
            Err(failure) if failure.sqlstate() == "57014" => Err(failure),
            // The statement itself will meet the error, or that the name is taken.
            same => Ok(same.unwrap_or(false)),
        }
    }
}
