//! Online changes: `with_lock_retries`.

use pgrx::{pg_extern, pg_sys};

use super::required;
use crate::error::entry;
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
