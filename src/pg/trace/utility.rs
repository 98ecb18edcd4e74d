//! Statements that leave neither a lock nor a call of the hook on objects, or not enough of them:
//! privileges, and names that are only tested.

mod names;
mod privileges;
mod tested;

use std::ffi::c_char;

use belay_core::footprint::Access;
use pgrx::pg_guard;
use pgrx::pg_sys::{self, NodeTag};

use self::names::{find_relation, of_role, of_text};
use super::{ON, touch, touch_everything, touch_name};
use crate::pg::list::cells;
use crate::pg::object::Object;

static mut NEXT: pg_sys::ProcessUtility_hook_type = None;

unsafe extern "C-unwind" {
    // Declared here, without the guard of the bindings: an error that passes through here has to keep
    // everything it says.
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        source: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        receiver: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// Installs the hook; called once, by `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs once in a backend, before any hook can be called.
    unsafe {
        NEXT = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

/// Nothing here is to be dropped: an error jumps over this frame.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    source: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the server's own arguments, handed on as they came.
    unsafe {
        if ON.get() {
            look((*statement).utilityStmt);
        }
        match NEXT {
            Some(next) => next(
                statement,
                source,
                read_only_tree,
                context,
                parameters,
                environment,
                receiver,
                completion,
            ),
            None => standard_ProcessUtility(
                statement,
                source,
                read_only_tree,
                context,
                parameters,
                environment,
                receiver,
                completion,
            ),
        }
    }
}

/// Notes what the statement will touch without a trace.
#[pg_guard]
unsafe extern "C-unwind" fn look(node: *mut pg_sys::Node) {
    if node.is_null() {
        return;
    }
    // SAFETY: a statement's node is of the type that its tag names.
    unsafe {
        match (*node).type_ {
            NodeTag::T_GrantStmt => privileges::grant(&*node.cast()),
            NodeTag::T_GrantRoleStmt => privileges::grant_role(&*node.cast()),
            NodeTag::T_AlterDefaultPrivilegesStmt => privileges::by_default(&*node.cast()),
            NodeTag::T_ReassignOwnedStmt | NodeTag::T_DropOwnedStmt => {
                touch_everything("changes whatever a role owns");
            }
            NodeTag::T_CreateEventTrigStmt | NodeTag::T_AlterEventTrigStmt => {
                touch_everything("makes or alters an event trigger");
            }
            NodeTag::T_CreatePublicationStmt => {
                let statement = &*node.cast::<pg_sys::CreatePublicationStmt>();
                publication(statement.for_all_tables, statement.pubobjects);
            }
            NodeTag::T_AlterPublicationStmt => {
                let statement = &*node.cast::<pg_sys::AlterPublicationStmt>();
                publication(statement.for_all_tables, statement.pubobjects);
            }
            NodeTag::T_AlterExtensionStmt => {
                let name = (*node.cast::<pg_sys::AlterExtensionStmt>()).extname;
                touch_name(of_text("extension", name), Access::Define);
            }
            NodeTag::T_AlterExtensionContentsStmt => {
                let name = (*node.cast::<pg_sys::AlterExtensionContentsStmt>()).extname;
                touch_name(of_text("extension", name), Access::Define);
            }
            NodeTag::T_AlterTableStmt => {
                inheritance((*node.cast::<pg_sys::AlterTableStmt>()).cmds);
                tested::look(NodeTag::T_AlterTableStmt, node);
            }
            NodeTag::T_AlterRoleSetStmt => {
                match of_role((*node.cast::<pg_sys::AlterRoleSetStmt>()).role) {
                    Some(role) => touch_name(role, Access::Define),
                    None => touch_everything("changes a setting of all roles"),
                }
            }
            NodeTag::T_AlterDatabaseSetStmt | NodeTag::T_AlterDatabaseStmt => {
                touch_everything("changes the database's settings");
            }
            tag => tested::look(tag, node),
        }
    }
}

unsafe fn publication(all_tables: bool, objects: *mut pg_sys::List) {
    // SAFETY: PublicationObjSpec nodes.
    let whole_schema = unsafe {
        cells(objects).any(|object| {
            let kind = (*object.cast::<pg_sys::PublicationObjSpec>()).pubobjtype;
            kind == pg_sys::PublicationObjSpecType::PUBLICATIONOBJ_TABLES_IN_SCHEMA
                || kind == pg_sys::PublicationObjSpecType::PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA
        })
    };
    if all_tables {
        touch_everything("publishes all tables");
    } else if whole_schema {
        touch_everything("publishes all tables of a schema");
    }
}

/// INHERIT and NO INHERIT change what the parent holds, and lock it as a reader does.
unsafe fn inheritance(commands: *mut pg_sys::List) {
    use pg_sys::AlterTableType::{AT_AddInherit, AT_DropInherit};
    // SAFETY: AlterTableCmd nodes, whose definition is for these two a RangeVar.
    unsafe {
        for command in cells(commands) {
            let command = command.cast::<pg_sys::AlterTableCmd>();
            if (*command).subtype == AT_AddInherit || (*command).subtype == AT_DropInherit {
                let parent = Object::relation(find_relation((*command).def.cast()));
                touch(parent, Access::Define);
            }
        }
    }
}
