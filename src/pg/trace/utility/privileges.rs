//! GRANT and REVOKE: some of them leave nothing at all behind.

use std::ffi::{CStr, c_void};

use belay_core::footprint::Access;
use pgrx::pg_sys::{self, ObjectType};

use super::super::{touch, touch_everything, touch_name};
use super::names::{find_relation, of_role, of_string, of_text};
use crate::pg::class;
use crate::pg::list::cells;
use crate::pg::object::Object;

/// GRANT and REVOKE: of all objects of a schema counts as the schema, on which each of them depends.
///
/// # Safety
/// The statement's own lists.
pub unsafe fn grant(statement: &pg_sys::GrantStmt) {
    use pg_sys::GrantTargetType::{ACL_TARGET_ALL_IN_SCHEMA, ACL_TARGET_OBJECT};
    // SAFETY: the lists hold what gram.y puts there for each kind of object.
    unsafe {
        for grantee in cells(statement.grantees) {
            if let Some(role) = of_role(grantee.cast()) {
                touch_name(role, Access::Read);
            }
        }
        for object in cells(statement.objects) {
            match statement.targtype {
                ACL_TARGET_ALL_IN_SCHEMA => {
                    touch_name(of_string("schema", object), Access::Define);
                }
                ACL_TARGET_OBJECT => granted(statement.objtype, object),
                _ => {}
            }
        }
    }
}

unsafe fn granted(kind: ObjectType::Type, object: *mut c_void) {
    // SAFETY: the caller's; look-ups in the catalog, where what is missing is no error yet.
    unsafe {
        let found = match kind {
            ObjectType::OBJECT_TABLE | ObjectType::OBJECT_SEQUENCE => {
                Object::relation(find_relation(object.cast()))
            }
            ObjectType::OBJECT_FUNCTION
            | ObjectType::OBJECT_PROCEDURE
            | ObjectType::OBJECT_ROUTINE => Object {
                class: class::PROCEDURE,
                id: pg_sys::LookupFuncWithArgs(kind, object.cast(), true),
            },
            ObjectType::OBJECT_TYPE | ObjectType::OBJECT_DOMAIN => {
                let name = pg_sys::makeTypeNameFromNameList(object.cast());
                Object::of_type(pg_sys::LookupTypeNameOid(std::ptr::null_mut(), name, true))
            }
            ObjectType::OBJECT_SCHEMA => {
                return touch_name(of_string("schema", object), Access::Define);
            }
            // A database, language, server, tablespace, large object or parameter.
            _ => return touch_everything("grants or revokes what is in no schema"),
        };
        if found.id != pg_sys::InvalidOid && !found.is_system() {
            touch(found, Access::Define);
        }
    }
}

/// GRANT role TO role, and REVOKE.
///
/// # Safety
/// The statement's own lists.
pub unsafe fn grant_role(statement: &pg_sys::GrantRoleStmt) {
    // SAFETY: AccessPriv nodes are granted to RoleSpec nodes.
    unsafe {
        for role in cells(statement.granted_roles) {
            let name = (*role.cast::<pg_sys::AccessPriv>()).priv_name;
            touch_name(of_text("role", name), Access::Define);
        }
        for role in cells(statement.grantee_roles) {
            if let Some(role) = of_role(role.cast()) {
                touch_name(role, Access::Define);
            }
        }
    }
}

/// ALTER DEFAULT PRIVILEGES: of a schema counts as that.
///
/// # Safety
/// The statement's own lists.
pub unsafe fn by_default(statement: &pg_sys::AlterDefaultPrivilegesStmt) {
    let mut schemas = 0;
    // SAFETY: DefElem nodes; that of schemas holds a list of String nodes.
    unsafe {
        for option in cells(statement.options) {
            let option = option.cast::<pg_sys::DefElem>();
            if CStr::from_ptr((*option).defname) == c"schemas" {
                for schema in cells((*option).arg.cast()) {
                    schemas += 1;
                    touch_name(of_string("schema", schema), Access::Define);
                }
            }
        }
    }
    if schemas == 0 {
        touch_everything("changes the default privileges of all schemas");
    }
}
