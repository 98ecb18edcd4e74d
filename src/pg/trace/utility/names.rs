//! Names in statements, as the identities of what they may mean.

use std::ffi::{c_char, c_void};

use belay_core::footprint::Access;
use pgrx::pg_sys::{self, ObjectType, Oid};

use super::super::{touch_everything, touch_name};
use crate::pg::identity;
use crate::pg::list::cells;
use crate::pg::object::{identity_in_schema, identity_of_overloads, owned, search_path};

/// What a name in a schema may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// A relation.
    Relation,
    /// A type or domain.
    Type,
}

/// The identity of what is in no schema.
///
/// # Safety
/// A string of the server's.
pub unsafe fn of_text(kind: &str, name: *const c_char) -> String {
    // SAFETY: the caller's.
    let name = unsafe { owned(name) }.unwrap_or_default();
    format!("{kind} {}", pgrx::spi::quote_identifier(name))
}

/// The same from a String node.
///
/// # Safety
/// A String node.
pub unsafe fn of_string(kind: &str, node: *mut c_void) -> String {
    // SAFETY: the caller's.
    unsafe { of_text(kind, (*node.cast::<pg_sys::String>()).sval) }
}

/// The identity of a role; `None` for PUBLIC, and for all.
///
/// # Safety
/// A RoleSpec node, or NULL.
pub unsafe fn of_role(role: *mut pg_sys::RoleSpec) -> Option<String> {
    // SAFETY: the caller's.
    unsafe {
        if role.is_null() {
            return None;
        }
        match (*role).roletype {
            pg_sys::RoleSpecType::ROLESPEC_PUBLIC => None,
            pg_sys::RoleSpecType::ROLESPEC_CSTRING => Some(of_text("role", (*role).rolename)),
            pg_sys::RoleSpecType::ROLESPEC_SESSION_USER => {
                Some(of_role_id(identity::session_role()))
            }
            _ => Some(of_role_id(identity::current_role())),
        }
    }
}

fn of_role_id(role: Oid) -> String {
    format!(
        "role {}",
        pgrx::spi::quote_identifier(identity::role_name(role))
    )
}

/// The relation of that name, as search_path finds it; InvalidOid when it is not there.
///
/// # Safety
/// A RangeVar node.
pub unsafe fn find_relation(relation: *mut pg_sys::RangeVar) -> Oid {
    // SAFETY: the caller's; no lock is taken.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            relation,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

/// A relation that is tested, in each schema where the name would be found.
///
/// # Safety
/// A RangeVar node.
pub unsafe fn of_range(relation: *mut pg_sys::RangeVar) {
    // SAFETY: the caller's.
    unsafe {
        if (*relation).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP {
            return;
        }
        let schema = owned((*relation).schemaname);
        let name = owned((*relation).relname).unwrap_or_default();
        tested(Space::Relation, schema, &name);
    }
}

/// An index that is tested, in the schema of its table.
///
/// # Safety
/// A RangeVar node, and a name that ends with NUL.
pub unsafe fn of_index(table: *mut pg_sys::RangeVar, name: *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        let schema = owned((*table).schemaname);
        tested(Space::Relation, schema, &owned(name).unwrap_or_default());
    }
}

/// The same of a list of names, the last of which is the object's.
///
/// # Safety
/// A list of String nodes.
pub unsafe fn of_list(space: Space, names: *mut pg_sys::List) {
    // SAFETY: the caller's.
    let (schema, name) = unsafe { split(cells(names)) };
    tested(space, schema, &name);
}

/// The relation of a trigger, rule or policy, whose name is the last of the list.
///
/// # Safety
/// A list of String nodes.
pub unsafe fn of_owner(names: *mut pg_sys::List) {
    // SAFETY: the caller's.
    let (schema, name) = unsafe {
        let own = cells(names).count().saturating_sub(1);
        split(cells(names).take(own))
    };
    tested(Space::Relation, schema, &name);
}

/// A function that is tested, by the types of its arguments.
///
/// # Safety
/// An ObjectWithArgs node that names what DROP of this kind takes.
pub unsafe fn of_function(kind: ObjectType::Type, function: &pg_sys::ObjectWithArgs) {
    // SAFETY: the caller's; look-ups in the catalog, where what is missing is no error.
    unsafe {
        let found = pg_sys::LookupFuncWithArgs(kind, (&raw const *function).cast_mut(), true);
        if found != pg_sys::InvalidOid {
            // It is there, and about to be dropped.
            return;
        }
        let mut types = Vec::new();
        for argument in cells(function.objargs) {
            let id = pg_sys::LookupTypeNameOid(std::ptr::null_mut(), argument.cast(), true);
            if id == pg_sys::InvalidOid {
                break;
            }
            types.extend(owned(pg_sys::format_type_be_qualified(id)));
        }
        if function.args_unspecified || types.len() != cells(function.objargs).count() {
            return touch_everything("tests whether a function exists");
        }
        let (schema, name) = split(cells(function.objname));
        for schema in schemas(schema) {
            let name = pgrx::spi::quote_qualified_identifier(&schema, &name);
            let arguments = types.join(",");
            touch_name(format!("function {name}({arguments})"), Access::Read);
        }
    }
}

/// A function gets another name, or another schema: what calls by either name may mean another one.
///
/// # Safety
/// An ObjectWithArgs node; the names end with NUL, or are NULL.
pub unsafe fn of_moved_function(
    function: &pg_sys::ObjectWithArgs,
    new_name: *const c_char,
    new_schema: *const c_char,
) {
    // SAFETY: the caller's.
    let ((schema, name), new_name, new_schema) = unsafe {
        let old = split(cells(function.objname));
        (old, owned(new_name), owned(new_schema))
    };
    for schema in schemas(schema).into_iter().chain(new_schema) {
        for name in [Some(&name), new_name.as_ref()].into_iter().flatten() {
            touch_name(identity_of_overloads(&schema, name), Access::Define);
        }
    }
}

/// Relations and types share one name space where a type has columns, or a relation rows.
fn tested(space: Space, schema: Option<String>, name: &str) {
    for schema in schemas(schema) {
        if space == Space::Type {
            touch_name(identity_in_schema("type", &schema, name), Access::Read);
        }
        touch_name(identity_in_schema("relation", &schema, name), Access::Read);
    }
}

/// The schemas in which a name would be found: the one that is given, or those of search_path.
fn schemas(given: Option<String>) -> Vec<String> {
    if let Some(schema) = given {
        return vec![schema];
    }
    search_path()
}

/// Schema, where it is given, and name; a database before them says nothing.
unsafe fn split(names: impl Iterator<Item = *mut c_void>) -> (Option<String>, String) {
    // SAFETY: String nodes.
    let mut names: Vec<String> = names
        .filter_map(|name| unsafe { owned((*name.cast::<pg_sys::String>()).sval) })
        .collect();
    let name = names.pop().unwrap_or_default();
    (names.pop(), name)
}
