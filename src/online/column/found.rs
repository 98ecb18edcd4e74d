//! What a verb finds: the table, its change, and the phase, as the call names the columns.

use pgrx::pg_sys::Oid;

use super::Asked;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::column_change::{ColumnChange, Phase};
use crate::ledger::table_column::Relation;

/// What was found.
pub struct Found {
    /// The table.
    pub table: Relation,
    /// Its change; `None`: nothing has begun.
    pub change: Option<ColumnChange>,
    /// Whether the change was begun the other way round: b to a, where a to b is asked for.
    pub mirrored: bool,
    /// Which columns code may use; old and new as the call names them.
    pub phase: Phase,
    /// Whether somebody has dropped a column of the pair by hand, and left the trigger.
    pub has_orphan: bool,
}

impl Found {
    /// Whether the pair's source is the column that the call names first.
    pub fn source_is_first(&self) -> bool {
        let Some(change) = &self.change else {
            return true;
        };
        let from_old = change
            .pair
            .as_ref()
            .is_none_or(|pair| pair.source == change.old && change.phase != Phase::New);
        from_old != self.mirrored
    }
}

/// Looks the table and its change up; refuses what is no table of the caller's.
pub fn find(ledger: &Ledger, asked: &Asked) -> Result<Found> {
    let table = own_table(ledger, asked.table)?;
    let changes = ledger.column_changes(table.id)?;
    let is_ours = |change: &ColumnChange, old: &str, new: &str| {
        change.old == old && change.new == new && change.types.is_some() == asked.is_type()
    };
    let direct = changes
        .iter()
        .find(|change| is_ours(change, &asked.first, &asked.second));
    let mirror = || {
        let other = |change: &&ColumnChange| is_ours(change, &asked.second, &asked.first);
        changes.iter().find(other).filter(|_| !asked.is_type())
    };
    let (change, mirrored) = match direct {
        Some(change) => (Some(change.clone()), false),
        None => (mirror().cloned(), true),
    };
    refuse_shared(asked, &changes, change.as_ref())?;
    let Some(mut change) = change else {
        return Ok(Found {
            table,
            change: None,
            mirrored: false,
            phase: Phase::Old,
            has_orphan: false,
        });
    };
    let had_pair = change.pair.is_some();
    forget_lost_pair(ledger, &table, &mut change)?;
    let has_orphan = had_pair && change.pair.is_none();
    if change.pair.is_none() {
        match settled_phase(ledger, &table, &change)? {
            Some(phase) => change.phase = phase,
            None if has_orphan => change.phase = Phase::Old,
            None => {
                ledger.forget_column_change(change.id)?;
                return Ok(Found {
                    table,
                    change: None,
                    mirrored: false,
                    phase: Phase::Old,
                    has_orphan: false,
                });
            }
        }
    }
    let phase = match mirrored {
        true => change.phase.mirrored(),
        false => change.phase,
    };
    Ok(Found {
        table,
        change: Some(change),
        mirrored,
        phase,
        has_orphan,
    })
}

fn own_table(ledger: &Ledger, id: Oid) -> Result<Relation> {
    let Some(table) = ledger.find_relation(id)? else {
        return Err(Failure::new(
            Code::WrongObject,
            format!("there is no table with oid {}", id.to_u32()),
            "name the table: 'public.orders'",
        ));
    };
    if !["r", "p"].contains(&table.kind.as_str()) {
        return Err(Failure::new(
            Code::WrongObject,
            format!("{} is not a table", table.quoted),
            "columns are changed at the table that holds them",
        ));
    }
    if !ledger.owns(id)? {
        return Err(Failure::new(
            Code::Privilege,
            format!("must be owner of table {}", table.quoted),
            "SET ROLE to its owner",
        ));
    }
    Ok(table)
}

/// One column is part of one change at a time.
fn refuse_shared(
    asked: &Asked,
    changes: &[ColumnChange],
    own: Option<&ColumnChange>,
) -> Result<()> {
    let names = [&asked.first, &asked.second];
    let other = changes.iter().find(|change| {
        own.is_none_or(|own| own.id != change.id)
            && change
                .pair
                .as_ref()
                .is_some_and(|pair| names.contains(&&pair.source) || names.contains(&&pair.copy))
    });
    match (other, own.and_then(|own| own.pair.as_ref())) {
        (Some(other), None) => Err(Failure::new(
            Code::NotInState,
            format!(
                "column \"{}\" is part of another change, of \"{}\" to \"{}\"",
                asked.first, other.old, other.new
            ),
            "end that one first, or take it back; SELECT * FROM belay.column_change shows how it stands",
        )),
        _ => Ok(()),
    }
}

/// Somebody may have dropped a column of the pair by hand: then nothing is kept in step.
fn forget_lost_pair(ledger: &Ledger, table: &Relation, change: &mut ColumnChange) -> Result<()> {
    let Some(pair) = change.pair.clone() else {
        return Ok(());
    };
    for column in [&pair.source, &pair.copy] {
        if ledger.column_type(table.id, column)?.is_none() {
            change.pair = None;
            return Ok(());
        }
    }
    if !ledger.has_trigger(table.id, &super::texts::trigger_name(change.id))? {
        change.pair = Some(crate::ledger::column_change::Pair {
            complete: false,
            ..pair
        });
    }
    Ok(())
}

/// Where only one column is there, the table itself says which; `None`: the change is over and the
/// table has gone on without it.
fn settled_phase(
    ledger: &Ledger,
    table: &Relation,
    change: &ColumnChange,
) -> Result<Option<Phase>> {
    let old = ledger.column_type(table.id, &change.old)?;
    let new = ledger.column_type(table.id, &change.new)?;
    Ok(match (&change.types, old, new) {
        (Some(types), Some(now), None) if now == types.new => Some(Phase::New),
        (Some(types), Some(now), None) if now == types.old => Some(Phase::Old),
        (None, Some(_), None) => Some(Phase::Old),
        (None, None, Some(_)) => Some(Phase::New),
        _ => None,
    })
}
