//! Functions and types that a query names.

use std::ffi::c_void;

use pgrx::pg_sys::{self, Node, NodeTag, Oid};

use crate::pg::object::Object;
use crate::pg::{class, compat};

/// The functions and types of a query, its subqueries and the views that were put in their place.
///
/// # Safety
/// An analysed query.
pub unsafe fn named(query: *mut pg_sys::Query) -> Vec<Object> {
    let mut found: Vec<Object> = Vec::new();
    // SAFETY: the caller's; the vector outlives the walk, and the walkers raise nothing.
    unsafe { walk(query.cast(), (&raw mut found).cast()) };
    found
}

/// Nothing here is to be dropped: no guard of pgrx stands between the server's frames and this one.
unsafe extern "C-unwind" fn walk(node: *mut Node, context: *mut c_void) -> bool {
    // SAFETY: the walkers of the server call this with each node below the one they were given, of the type
    // that its tag names (nodeFuncs.c); the context is the vector of `named`.
    unsafe {
        if node.is_null() {
            return false;
        }
        if (*node).type_ == NodeTag::T_Query {
            let query = node.cast::<pg_sys::Query>();
            let utility = (*query).utilityStmt;
            if !utility.is_null() && (*utility).type_ == NodeTag::T_CallStmt {
                walk(
                    (*utility.cast::<pg_sys::CallStmt>()).funcexpr.cast(),
                    context,
                );
            }
            return compat::walk_query(query, walk, context);
        }
        note(node, &mut *context.cast::<Vec<Object>>());
        compat::walk_expression(node, walk, context)
    }
}

unsafe fn note(node: *mut Node, found: &mut Vec<Object>) {
    macro_rules! field {
        ($node:ident, $field:ident) => {
            // SAFETY: the tag below names the type.
            unsafe { (*node.cast::<pg_sys::$node>()).$field }
        };
    }
    let mut add = |class: Oid, id: Oid| {
        let object = Object { class, id };
        if !object.is_system() {
            found.push(object);
        }
    };
    // SAFETY: the caller's node.
    match unsafe { (*node).type_ } {
        NodeTag::T_Const => add(class::TYPE, field!(Const, consttype)),
        NodeTag::T_Param => add(class::TYPE, field!(Param, paramtype)),
        NodeTag::T_CoerceViaIO => add(class::TYPE, field!(CoerceViaIO, resulttype)),
        NodeTag::T_CoerceToDomain => add(class::TYPE, field!(CoerceToDomain, resulttype)),
        NodeTag::T_RelabelType => add(class::TYPE, field!(RelabelType, resulttype)),
        NodeTag::T_ArrayCoerceExpr => add(class::TYPE, field!(ArrayCoerceExpr, resulttype)),
        NodeTag::T_RowExpr => add(class::TYPE, field!(RowExpr, row_typeid)),
        NodeTag::T_FuncExpr => {
            add(class::TYPE, field!(FuncExpr, funcresulttype));
            add(class::PROCEDURE, field!(FuncExpr, funcid));
        }
        NodeTag::T_Aggref => add(class::PROCEDURE, field!(Aggref, aggfnoid)),
        NodeTag::T_WindowFunc => add(class::PROCEDURE, field!(WindowFunc, winfnoid)),
        _ => {}
    }
}
