//! Columns that are renamed or given another type while the application runs: eight verbs.

use pgrx::{pg_extern, pg_sys};

use super::required;
use crate::error::{Result, entry, raise};
use crate::ledger::column_change::Types;
use crate::online::Session;
use crate::online::column::{self, Asked, Family, RENAME, TYPE, Verb};
use crate::pg::arguments::Arguments;
use crate::pg::transaction::{self, mode_of};
use crate::pg::type_name;
use crate::pg::{extension, sync};

/// An argument of type name.
fn name_of(arguments: &mut Arguments) -> Option<String> {
    let name: Option<std::ffi::CString> = arguments.next();
    name.map(|name| name.to_string_lossy().into_owned())
}

fn rename(call: pg_sys::FunctionCallInfo, name: &str, verb: Verb) -> Result<()> {
    let mut arguments = Arguments::of(call, &extension::installed()?);
    let (table, old, new) = (
        arguments.next(),
        name_of(&mut arguments),
        name_of(&mut arguments),
    );
    let asked = Asked {
        table: required(table, "table")?,
        first: required(old, "old")?,
        second: required(new, "new")?,
        family: RENAME,
        types: None,
    };
    column::run(&Session::begin(name, mode_of(call))?, verb, &asked)
}

fn change_type(call: pg_sys::FunctionCallInfo, name: &str, verb: Verb) -> Result<()> {
    let mut arguments = Arguments::of(call, &extension::installed()?);
    let table = required(arguments.next(), "table")?;
    let first = required(name_of(&mut arguments), "column")?;
    let new: Option<String> = arguments.next();
    let (forth, back) = (arguments.next(), arguments.next());
    let session = Session::begin(name, mode_of(call))?;
    let types = match verb {
        Verb::Begin => Some(transaction::committed(session.mode, || {
            let (id, modifier) = type_name::resolve(&required(new, "new_type")?)?;
            Ok(Types {
                old: String::new(),
                new: session.ledger.type_name(id, modifier)?,
                forth,
                back,
            })
        })?),
        _ => None,
    };
    let asked = Asked {
        table,
        second: column::second_column(&first),
        first,
        family: TYPE,
        types,
    };
    column::run(&session, verb, &asked)
}

/// A procedure of SQL for each verb of a family.
macro_rules! verbs {
    ($run:ident, $family:expr, $($function:ident = $verb:expr, $name:ident;)+) => {
        $(#[pg_extern(sql = false)]
        fn $function(fcinfo: pg_sys::FunctionCallInfo) {
            const NAME: &str = { let family: Family = $family; family.$name };
            entry(|| $run(fcinfo, NAME, $verb));
        })+
    };
}

verbs!(rename, RENAME,
    rename_column_concurrently = Verb::Begin, begin;
    undo_rename_column_concurrently = Verb::Undo, undo;
    cleanup_concurrent_column_rename = Verb::Cleanup, cleanup;
    undo_cleanup_concurrent_column_rename = Verb::UndoCleanup, undo_cleanup;
);
verbs!(change_type, TYPE,
    change_column_type_concurrently = Verb::Begin, begin;
    undo_change_column_type_concurrently = Verb::Undo, undo;
    cleanup_concurrent_column_type_change = Verb::Cleanup, cleanup;
    undo_cleanup_concurrent_column_type_change = Verb::UndoCleanup, undo_cleanup;
);

/// Of a row whose columns have two types.
#[pg_extern(sql = false)]
fn is_out_of_step(fcinfo: pg_sys::FunctionCallInfo) -> bool {
    raise(sync::is_out_of_step(fcinfo))
}
