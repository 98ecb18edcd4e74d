//! What the server tells a trigger function.

use pgrx::pg_sys;

use super::row::Row;
use crate::error::{Code, Failure, Result};

/// The event of a trigger FOR EACH ROW.
pub struct Event {
    /// The row that was inserted.
    pub row: Row,
    /// The schema of its table.
    pub schema: pg_sys::Oid,
}

/// The event of a trigger FOR EACH ROW that changes a row.
pub struct Change {
    /// The row as it was.
    pub old: Row,
    /// The row as it is now.
    pub new: Row,
}

/// The event, of a trigger AFTER INSERT FOR EACH ROW.
///
/// `fcinfo` is the one the server called with.
pub fn inserted(fcinfo: pg_sys::FunctionCallInfo) -> Result<Event> {
    let trigger = data(fcinfo)?;
    // SAFETY: the tuple and the relation of a TriggerData live until the function returns.
    unsafe {
        let relation = (*trigger).tg_relation;
        Ok(Event {
            row: Row::deform((*trigger).tg_trigtuple, (*relation).rd_att),
            schema: (*(*relation).rd_rel).relnamespace,
        })
    }
}

/// The event, of a trigger AFTER UPDATE FOR EACH ROW.
///
/// `fcinfo` is the one the server called with.
pub fn updated(fcinfo: pg_sys::FunctionCallInfo) -> Result<Change> {
    let trigger = data(fcinfo)?;
    // SAFETY: as above; for UPDATE the server sets both tuples (trigger.h), for others only one.
    unsafe {
        let descriptor = (*(*trigger).tg_relation).rd_att;
        let (old, new) = ((*trigger).tg_trigtuple, (*trigger).tg_newtuple);
        if old.is_null() || new.is_null() {
            return Err(no_call());
        }
        Ok(Change {
            old: Row::deform(old, descriptor),
            new: Row::deform(new, descriptor),
        })
    }
}

/// What the server hands to a trigger function.
fn data(fcinfo: pg_sys::FunctionCallInfo) -> Result<*mut pg_sys::TriggerData> {
    // SAFETY: for triggers the server sets `context` to a TriggerData node (trigger.h).
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return Err(no_call());
        }
        Ok(context.cast::<pg_sys::TriggerData>())
    }
}

fn no_call() -> Failure {
    Failure::new(
        Code::InvalidParameter,
        "this function is a trigger of Belay's",
        "do not call it",
    )
}

/// Makes what the statement has written visible to what follows in this trigger.
pub fn see_the_statement() {
    // SAFETY: allowed in an AFTER trigger, as its queries do the same.
    unsafe { pg_sys::CommandCounterIncrement() };
}
