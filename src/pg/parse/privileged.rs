//! Statements that take more than the rights an ordinary role can be granted on its own objects.
//!
//! Told by the statement alone, as the rest of [`super`]: what a function or a DO block does inside,
//! which languages are trusted here, and who owns what, is not seen. The list follows the checks
//! for `superuser()` and for the predefined roles in the server's commands.

use std::ffi::CStr;

use pgrx::pg_sys::{self, NodeTag, ObjectType as Type};

use crate::pg::list::{cells, has_option, names_option};

/// Languages whose code reaches beyond the database. Only C and internal are the server's own;
/// the others are named by their extensions.
const UNTRUSTED: [&CStr; 7] = [
    c"c",
    c"internal",
    c"plperlu",
    c"plpython2u",
    c"plpython3u",
    c"plpythonu",
    c"pltclu",
];

/// Whether a statement takes a superuser, a predefined role's membership, or the rights of
/// whoever owns an extension.
///
/// # Safety
/// A statement node of the raw grammar.
pub(super) unsafe fn is_privileged(node: *mut pg_sys::Node) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match (*node).type_ {
            NodeTag::T_CreateExtensionStmt
            | NodeTag::T_AlterExtensionStmt
            | NodeTag::T_AlterExtensionContentsStmt
            | NodeTag::T_AlterSystemStmt
            | NodeTag::T_CheckPointStmt
            | NodeTag::T_CreateAmStmt
            | NodeTag::T_CreateEventTrigStmt
            | NodeTag::T_AlterEventTrigStmt
            | NodeTag::T_CreateFdwStmt
            | NodeTag::T_AlterFdwStmt
            | NodeTag::T_CreateOpClassStmt
            | NodeTag::T_CreateOpFamilyStmt
            | NodeTag::T_AlterOpFamilyStmt
            | NodeTag::T_CreatePLangStmt
            | NodeTag::T_CreateSubscriptionStmt
            | NodeTag::T_CreateTableSpaceStmt => true,
            NodeTag::T_CopyStmt => {
                let copy = node as *mut pg_sys::CopyStmt;
                (*copy).is_program || !(*copy).filename.is_null()
            }
            NodeTag::T_CreateCastStmt => {
                let cast = node as *mut pg_sys::CreateCastStmt;
                (*cast).func.is_null() && !(*cast).inout
            }
            NodeTag::T_CreateRoleStmt => {
                let options = (*(node as *mut pg_sys::CreateRoleStmt)).options;
                has_option(options, &[c"superuser"], true)
            }
            NodeTag::T_AlterRoleStmt => names_option(
                (*(node as *mut pg_sys::AlterRoleStmt)).options,
                c"superuser",
            ),
            NodeTag::T_CreateFunctionStmt => {
                reaches_out((*(node as *mut pg_sys::CreateFunctionStmt)).options)
            }
            NodeTag::T_AlterFunctionStmt => {
                reaches_out((*(node as *mut pg_sys::AlterFunctionStmt)).actions)
            }
            NodeTag::T_DoStmt => reaches_out((*(node as *mut pg_sys::DoStmt)).args),
            NodeTag::T_CreatePublicationStmt => {
                let publication = node as *mut pg_sys::CreatePublicationStmt;
                (*publication).for_all_tables || holds_a_schema((*publication).pubobjects)
            }
            NodeTag::T_AlterPublicationStmt => {
                holds_a_schema((*(node as *mut pg_sys::AlterPublicationStmt)).pubobjects)
            }
            // A type with input and output functions, or the shell of one.
            NodeTag::T_DefineStmt => match (*(node as *mut pg_sys::DefineStmt)).kind {
                Type::OBJECT_TYPE => true,
                kind => belongs_to_superusers(kind),
            },
            _ => object_of(node).is_some_and(belongs_to_superusers),
        }
    }
}

/// The kind of object that a DROP, COMMENT or ALTER which many kinds share is about.
unsafe fn object_of(node: *mut pg_sys::Node) -> Option<Type::Type> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        Some(match (*node).type_ {
            NodeTag::T_DropStmt => (*(node as *mut pg_sys::DropStmt)).removeType,
            NodeTag::T_CommentStmt => (*(node as *mut pg_sys::CommentStmt)).objtype,
            NodeTag::T_RenameStmt => (*(node as *mut pg_sys::RenameStmt)).renameType,
            NodeTag::T_AlterOwnerStmt => (*(node as *mut pg_sys::AlterOwnerStmt)).objectType,
            NodeTag::T_AlterObjectSchemaStmt => {
                (*(node as *mut pg_sys::AlterObjectSchemaStmt)).objectType
            }
            _ => return None,
        })
    }
}

/// Kinds of objects that have no owner or must have a superuser for it; an extension's members
/// go and come with it.
fn belongs_to_superusers(kind: Type::Type) -> bool {
    matches!(
        kind,
        Type::OBJECT_EXTENSION
            | Type::OBJECT_EVENT_TRIGGER
            | Type::OBJECT_FDW
            | Type::OBJECT_ACCESS_METHOD
            | Type::OBJECT_TSPARSER
            | Type::OBJECT_TSTEMPLATE
    )
}

/// Options of a function or DO block: an untrusted language, LEAKPROOF, a support function.
unsafe fn reaches_out(options: *mut pg_sys::List) -> bool {
    // SAFETY: a list of DefElem; the argument of `language` is a String whose text ends with NUL.
    unsafe {
        has_option(options, &[c"leakproof"], true)
            || names_option(options, c"support")
            || cells(options).any(|cell| {
                let option = cell as *mut pg_sys::DefElem;
                CStr::from_ptr((*option).defname) == c"language"
                    && UNTRUSTED.contains(&CStr::from_ptr(
                        (*((*option).arg as *mut pg_sys::String)).sval,
                    ))
            })
    }
}

/// Whether the objects of a publication include all tables of a schema.
unsafe fn holds_a_schema(objects: *mut pg_sys::List) -> bool {
    use pg_sys::PublicationObjSpecType as Object;
    // SAFETY: a list of PublicationObjSpec, or NULL.
    unsafe {
        cells(objects).any(|cell| {
            matches!(
                (*(cell as *mut pg_sys::PublicationObjSpec)).pubobjtype,
                Object::PUBLICATIONOBJ_TABLES_IN_SCHEMA
                    | Object::PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA
            )
        })
    }
}
