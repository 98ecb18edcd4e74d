//! Names and definitions as the server prints them (format_type.c, regproc.c, ruleutils.c).
//!
//! What they look like depends on search_path and other settings. `None`: there is no such object any more, or nothing to print.
//! Where another session holds ACCESS EXCLUSIVE on a relation whose expressions are printed, these wait for it.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Oid};
use pgrx::{IntoDatum, direct_function_call};

use super::row::Row;
use crate::error::Result;

/// A function of the server's that prints.
type Printer = unsafe fn(FunctionCallInfo) -> Datum;

/// A name, in quotes where it needs them.
pub fn quote(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}

/// The name of a role, quoted.
pub fn role(role: Oid) -> String {
    // SAFETY: with noerr the function returns NULL for an unknown role.
    let name = unsafe { owned(pg_sys::GetUserNameFromId(role, true)) };
    quote(&name.unwrap_or_else(|| format!("unknown (OID={})", role.to_u32())))
}

/// A type; with its modifier where one is given, -1 for none.
pub fn type_name(id: Oid, modifier: Option<i32>) -> String {
    let given = modifier.map_or(0, |_| pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN);
    let flags = (given | pg_sys::FORMAT_TYPE_ALLOW_INVALID) as pg_sys::bits16;
    // SAFETY: any OID may be passed with ALLOW_INVALID; the result is palloc'd.
    let name = unsafe {
        owned(pg_sys::format_type_extended(
            id,
            modifier.unwrap_or(-1),
            flags,
        ))
    };
    name.unwrap_or_default()
}

/// The type's collation, where the one given is another.
pub fn other_collation(collation: Oid, of_type: Oid) -> Option<String> {
    // SAFETY: a look-up by OID.
    let own = unsafe { pg_sys::get_typcollation(of_type) };
    (collation != own).then(|| registered(pg_sys::regcollationout, collation))
}

/// A collation.
pub fn collation(id: Oid) -> Option<String> {
    some(id).map(|id| registered(pg_sys::regcollationout, id))
}

/// A relation.
pub fn relation(id: Oid) -> Option<String> {
    some(id).map(|id| registered(pg_sys::regclassout, id))
}

/// A function's name.
pub fn function(id: Oid) -> Option<String> {
    some(id).map(|id| registered(pg_sys::regprocout, id))
}

/// A function's name and argument types.
pub fn signature(id: Oid) -> Option<String> {
    some(id).map(|id| registered(pg_sys::regprocedureout, id))
}

/// An operator's name and argument types.
pub fn operator(id: Oid) -> Option<String> {
    some(id).map(|id| registered(pg_sys::regoperatorout, id))
}

/// An access method.
pub fn access_method(id: Oid) -> Option<String> {
    // SAFETY: NULL for an unknown one; else palloc'd.
    unsafe { owned(pg_sys::get_am_name(id)) }
}

/// A language.
pub fn language(id: Oid) -> Option<String> {
    // SAFETY: NULL for an unknown one; else palloc'd.
    unsafe { owned(pg_sys::get_language_name(id, true)) }
}

/// A column, by its number.
pub fn column(relation: Oid, number: i16) -> Option<String> {
    // SAFETY: NULL for an unknown one; else palloc'd.
    unsafe { owned(pg_sys::get_attname(relation, number, true)) }.map(|name| quote(&name))
}

/// The definition of a constraint.
pub fn constraint(id: Oid) -> Option<String> {
    of(pg_sys::pg_get_constraintdef, id)
}

/// The definition of an index.
pub fn index(id: Oid) -> Option<String> {
    of(pg_sys::pg_get_indexdef, id)
}

/// The definition of a trigger.
pub fn trigger(id: Oid) -> Option<String> {
    of(pg_sys::pg_get_triggerdef, id)
}

/// The definition of a rewrite rule.
pub fn rule(id: Oid) -> Option<String> {
    of(pg_sys::pg_get_ruledef, id)
}

/// The query of a view, as psql's `\d+` shows it.
pub fn view(id: Oid) -> Option<String> {
    // SAFETY: the function takes an OID and a boolean.
    unsafe {
        direct_function_call(
            pg_sys::pg_get_viewdef_ext,
            &[id.into_datum(), true.into_datum()],
        )
    }
}

/// What a partitioned table is partitioned by.
pub fn partition_key(id: Oid) -> Option<String> {
    of(pg_sys::pg_get_partkeydef, id)
}

/// The arguments of a function, with names, modes and defaults.
pub fn arguments(function: Oid) -> Option<String> {
    of(pg_sys::pg_get_function_arguments, function)
}

/// What a function returns; nothing of a procedure.
pub fn result(function: Oid) -> Option<String> {
    of(pg_sys::pg_get_function_result, function)
}

/// The body of a function that is written in standard SQL.
pub fn sql_body(function: Oid) -> Option<String> {
    of(pg_sys::pg_get_function_sqlbody, function)
}

/// A column that holds an expression over a relation's columns, or over none.
pub fn expression(row: &Row, column: &CStr, relation: Oid) -> Result<Option<String>> {
    let Some(tree) = row.datum(column)? else {
        return Ok(None);
    };
    // SAFETY: not NULL, and a node tree, as the catalog defines the column.
    Ok(unsafe { direct_function_call(pg_sys::pg_get_expr, &[Some(tree), relation.into_datum()]) })
}

/// A real, with the fewest digits that tell it from every other.
pub fn real(value: f32) -> String {
    // SAFETY: the function takes a real.
    let text = unsafe { direct_function_call::<&CStr>(pg_sys::float4out, &[value.into_datum()]) };
    text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
}

fn some(id: Oid) -> Option<Oid> {
    (id != Oid::INVALID).then_some(id)
}

fn of(printer: Printer, id: Oid) -> Option<String> {
    // SAFETY: the printers of this module take one OID and return text.
    unsafe { direct_function_call(printer, &[id.into_datum()]) }
}

/// By the output function of regclass and its like.
fn registered(printer: Printer, id: Oid) -> String {
    // SAFETY: they take one OID, any, and return a C string.
    let text = unsafe { direct_function_call::<&CStr>(printer, &[id.into_datum()]) };
    text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
}

/// # Safety
/// NULL, or a string that ends with NUL.
unsafe fn owned(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() })
}
