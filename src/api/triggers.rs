//! Trigger functions of the ledger's tables that are not written in PL/pgSQL.

use pgrx::{pg_extern, pg_sys};

use crate::error::raise;
use crate::ledger::rules;
use crate::pg::trigger;

/// AFTER INSERT ON belay.applied FOR EACH ROW.
#[pg_extern(sql = false)]
fn judge_applied(fcinfo: pg_sys::FunctionCallInfo) {
    raise(trigger::inserted(fcinfo).and_then(|event| rules::judge_applied(&event)));
}
