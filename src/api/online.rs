//! Online changes: `with_lock_retries`, `update_in_batches`, `add_concurrent_index`, `remove_concurrent_index`.

use pgrx::spi::quote_identifier;
use pgrx::{pg_extern, pg_sys};

use super::required;
use crate::error::{Code, Failure, entry};
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
        };
        online::backfill::run(&session, &backfill)?;
        Ok(())
    });
}

#[pg_extern(sql = false)]
fn add_concurrent_index(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
        let table: Option<pg_sys::Oid> = arguments.next();
        let elements: Option<String> = arguments.next();
        let name: Option<String> = arguments.next();
        let unique: Option<bool> = arguments.next();
        let mut text = || -> Option<String> { arguments.next() };
        let (method, include, with, tablespace, condition) =
            (text(), text(), text(), text(), text());
        let definition = text();
        let session = Session::begin("add_concurrent_index", mode_of(fcinfo))?;
        let definition = match (definition, table, elements) {
            (Some(definition), None, None) => definition,
            (None, Some(table), Some(elements)) => {
                let part = |word: &str, text: Option<String>| {
                    text.map_or(String::new(), |text| format!(" {word} {text}"))
                };
                let parts = [
                    part("INCLUDE", include.map(|columns| format!("({columns})"))),
                    part("WITH", with.map(|options| format!("({options})"))),
                    part("TABLESPACE", tablespace.map(|name| quote_identifier(&name))),
                    part("WHERE", condition),
                ];
                format!(
                    "CREATE {}INDEX CONCURRENTLY {} ON {} USING {} ({elements}){}",
                    if unique == Some(true) { "UNIQUE " } else { "" },
                    name.map_or(String::new(), |name| quote_identifier(&name)),
                    session.table_name(table)?,
                    quote_identifier(method.as_deref().unwrap_or("btree")),
                    parts.concat()
                )
            }
            _ => {
                return Err(Failure::new(
                    Code::InvalidParameter,
                    "either a table and its elements, or a definition",
                    "CALL belay.add_concurrent_index('orders', 'customer_id, created_at DESC'), \
                     or belay.add_concurrent_index(definition => 'CREATE INDEX ...')",
                ));
            }
        };
        online::index::add(&session, &definition)
    });
}

#[pg_extern(sql = false)]
fn remove_concurrent_index(fcinfo: pg_sys::FunctionCallInfo) {
    entry(|| {
        let mut arguments = Arguments::of(fcinfo, &extension::installed()?);
        let table = required(arguments.next(), "table")?;
        let name: Option<String> = arguments.next();
        let session = Session::begin("remove_concurrent_index", mode_of(fcinfo))?;
        online::index::remove(&session, table, &required(name, "name")?)
    });
}
