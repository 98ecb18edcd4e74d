//! Trigger functions of the ledger's tables that are not written in PL/pgSQL.

use pgrx::{pg_extern, pg_sys};

use crate::engine::alter;
use crate::error::{entry, raise};
use crate::ledger::alteration::Alteration;
use crate::ledger::rules;
use crate::pg::trigger;

/// AFTER INSERT ON belay.applied FOR EACH ROW.
#[pg_extern(sql = false)]
fn judge_applied(fcinfo: pg_sys::FunctionCallInfo) {
    raise(trigger::inserted(fcinfo).and_then(|event| rules::judge_applied(&event)));
}

/// AFTER UPDATE ON belay.project FOR EACH ROW.
#[pg_extern(sql = false)]
fn judge_project(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let change = trigger::updated(fcinfo)?;
        alter::altered(&Alteration::between(&change.old, &change.new)?)
    });
}
