//! Online changes: `with_lock_retries`, `update_in_batches`.

use pgrx::{pg_extern, pg_sys};

use super::required;
use crate::error::entry;
use crate::online::backfill::Backfill;
use crate::online::{self, Session};
use crate::pg::arguments::Arguments;
use crate::pg::extension;
use crate::pg::transaction::mode_of;

#[pg_extern(sql = false)]
fn with_lock_retries(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let sql: Option<String> = Arguments::of(fcinfo, &extension::installed()?).next();
        let session = Session::begin("with_lock_retries", mode_of(fcinfo))?;
        online::with_lock_retries(&session, &required(sql, "sql")?)
    });
}

#[pg_extern(sql = false)]
fn update_in_batches(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
        let table = required(arguments.next(), "table")?;
        let set: Option<String> = arguments.next();
        let condition: Option<String> = arguments.next();
        let session = Session::begin("update_in_batches", mode_of(fcinfo))?;
        let backfill = Backfill {
            table,
            set: required(set, "set")?,
            condition,
            own: false,
        };
        online::backfill::run(&session, &backfill)?;
        Ok(())
    });
}
