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

/// The event, of a trigger AFTER INSERT FOR EACH ROW.
///
/// `fcinfo` is the one the server called with.
pub fn inserted(fcinfo: pg_sys::FunctionCallInfo) -> Result<Event> {
    // SAFETY: for triggers the server sets `context` to a TriggerData node (trigger.h), whose
    // tuple and relation live until the function returns.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return Err(Failure::new(
                Code::InvalidParameter,
                "this function is a trigger of Belay's",
                "do not call it",
            ));
        }
        let trigger = context.cast::<pg_sys::TriggerData>();
        let relation = (*trigger).tg_relation;
        Ok(Event {
            row: Row::deform((*trigger).tg_trigtuple, (*relation).rd_att),
            schema: (*(*relation).rd_rel).relnamespace,
        })
    }
}

/// Makes what the statement has written visible to what follows in this trigger.
pub fn see_the_statement() {
    // SAFETY: allowed in an AFTER trigger, as its queries do the same.
    unsafe { pg_sys::CommandCounterIncrement() };
}
