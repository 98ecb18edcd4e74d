//! Names in statements: IF EXISTS and IF NOT EXISTS, where what is tested counts as read whether it is there or
//! not, and functions that get another name.

use belay_core::footprint::Access;
use pgrx::pg_sys::{self, NodeTag, ObjectType};

use super::super::{touch_everything, touch_name};
use super::names::{
    Space, of_function, of_index, of_list, of_moved_function, of_owner, of_range, of_role,
    of_string, of_text,
};
use crate::pg::list::cells;

/// Notes the names that a statement tests.
///
/// # Safety
/// A statement of that tag.
pub unsafe fn look(tag: NodeTag, node: *mut pg_sys::Node) {
    // SAFETY: the caller's.
    unsafe {
        match tag {
            NodeTag::T_CreateStmt | NodeTag::T_CreateForeignTableStmt => {
                let statement = &*node.cast::<pg_sys::CreateStmt>();
                if statement.if_not_exists {
                    of_range(statement.relation);
                }
            }
            NodeTag::T_CreateTableAsStmt => {
                let statement = &*node.cast::<pg_sys::CreateTableAsStmt>();
                if statement.if_not_exists {
                    of_range((*statement.into).rel);
                }
            }
            NodeTag::T_CreateSeqStmt => {
                let statement = &*node.cast::<pg_sys::CreateSeqStmt>();
                if statement.if_not_exists {
                    of_range(statement.sequence);
                }
            }
            NodeTag::T_IndexStmt => {
                let statement = &*node.cast::<pg_sys::IndexStmt>();
                if statement.if_not_exists {
                    of_index(statement.relation, statement.idxname);
                }
            }
            NodeTag::T_CreateSchemaStmt => {
                let statement = &*node.cast::<pg_sys::CreateSchemaStmt>();
                if statement.if_not_exists && !statement.schemaname.is_null() {
                    touch_name(of_text("schema", statement.schemaname), Access::Read);
                }
            }
            NodeTag::T_CreateExtensionStmt => {
                let name = (*node.cast::<pg_sys::CreateExtensionStmt>()).extname;
                touch_name(of_text("extension", name), Access::Read);
            }
            NodeTag::T_AlterEnumStmt => {
                let names = (*node.cast::<pg_sys::AlterEnumStmt>()).typeName;
                of_list(Space::Type, names);
            }
            NodeTag::T_DefineStmt => {
                if (*node.cast::<pg_sys::DefineStmt>()).if_not_exists {
                    touch_everything("tests whether a collation exists");
                }
            }
            NodeTag::T_CreateForeignServerStmt => {
                let statement = &*node.cast::<pg_sys::CreateForeignServerStmt>();
                touch_name(of_text("server", statement.servername), Access::Read);
            }
            NodeTag::T_DropRoleStmt => {
                for role in cells((*node.cast::<pg_sys::DropRoleStmt>()).roles) {
                    if let Some(role) = of_role(role.cast()) {
                        touch_name(role, Access::Read);
                    }
                }
            }
            NodeTag::T_DropStmt => dropped(&*node.cast()),
            _ => altered(tag, node),
        }
    }
}

/// DROP ... IF EXISTS.
unsafe fn dropped(statement: &pg_sys::DropStmt) {
    use ObjectType::*;
    if !statement.missing_ok {
        return;
    }
    // SAFETY: the lists hold what gram.y puts there for each kind of object.
    unsafe {
        for object in cells(statement.objects) {
            match statement.removeType {
                OBJECT_TABLE | OBJECT_VIEW | OBJECT_MATVIEW | OBJECT_SEQUENCE | OBJECT_INDEX
                | OBJECT_FOREIGN_TABLE => of_list(Space::Relation, object.cast()),
                OBJECT_TYPE | OBJECT_DOMAIN => {
                    of_list(Space::Type, (*object.cast::<pg_sys::TypeName>()).names);
                }
                OBJECT_SCHEMA => touch_name(of_string("schema", object), Access::Read),
                OBJECT_EXTENSION => touch_name(of_string("extension", object), Access::Read),
                OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE | OBJECT_AGGREGATE => {
                    of_function(statement.removeType, &*object.cast());
                }
                OBJECT_TRIGGER | OBJECT_POLICY | OBJECT_RULE => of_owner(object.cast()),
                _ => touch_everything("tests whether an object exists"),
            }
        }
    }
}

/// ALTER FUNCTION ... RENAME TO, and SET SCHEMA.
unsafe fn moved(tag: NodeTag, node: *mut pg_sys::Node) {
    use ObjectType::*;
    let is_function = |kind| {
        [
            OBJECT_FUNCTION,
            OBJECT_PROCEDURE,
            OBJECT_ROUTINE,
            OBJECT_AGGREGATE,
        ]
        .contains(&kind)
    };
    // SAFETY: the caller's; of a function the object is an ObjectWithArgs node.
    unsafe {
        match tag {
            NodeTag::T_RenameStmt => {
                let statement = &*node.cast::<pg_sys::RenameStmt>();
                if is_function(statement.renameType) {
                    let function = &*statement.object.cast();
                    of_moved_function(function, statement.newname, std::ptr::null());
                }
            }
            NodeTag::T_AlterObjectSchemaStmt => {
                let statement = &*node.cast::<pg_sys::AlterObjectSchemaStmt>();
                if is_function(statement.objectType) {
                    let function = &*statement.object.cast();
                    of_moved_function(function, std::ptr::null(), statement.newschema);
                }
            }
            _ => {}
        }
    }
}

/// ALTER ... IF EXISTS.
unsafe fn altered(tag: NodeTag, node: *mut pg_sys::Node) {
    // SAFETY: the caller's.
    unsafe { moved(tag, node) };
    // SAFETY: the caller's.
    let (missing_ok, relation) = unsafe {
        match tag {
            NodeTag::T_AlterTableStmt => {
                let statement = &*node.cast::<pg_sys::AlterTableStmt>();
                (statement.missing_ok, statement.relation)
            }
            NodeTag::T_RenameStmt => {
                let statement = &*node.cast::<pg_sys::RenameStmt>();
                (statement.missing_ok, statement.relation)
            }
            NodeTag::T_AlterObjectSchemaStmt => {
                let statement = &*node.cast::<pg_sys::AlterObjectSchemaStmt>();
                (statement.missing_ok, statement.relation)
            }
            NodeTag::T_AlterSeqStmt => {
                let statement = &*node.cast::<pg_sys::AlterSeqStmt>();
                (statement.missing_ok, statement.sequence)
            }
            _ => return,
        }
    };
    if !missing_ok {
        return;
    }
    match relation.is_null() {
        true => touch_everything("tests whether an object exists"),
        // SAFETY: the statement's own node.
        false => unsafe { of_range(relation) },
    }
}
