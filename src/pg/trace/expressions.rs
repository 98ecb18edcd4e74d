//! Types, functions and operators that a query names. The planner folds many of them away, and then
//! neither a lock nor a plan tells of them.
//!
//! Not seen: queries of functions in PL/pgSQL that this session has analysed before.

use std::ffi::c_void;

use belay_core::footprint::Access;
use pgrx::pg_sys::{self, Node, NodeTag, Oid};

use super::{ON, call, touch};
use crate::pg::class;
use crate::pg::compat;
use crate::pg::object::Object;

static mut NEXT: pg_sys::post_parse_analyze_hook_type = None;

/// Installs the hook; called once, by `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs once in a backend, before any hook can be called.
    unsafe {
        NEXT = pg_sys::post_parse_analyze_hook;
        pg_sys::post_parse_analyze_hook = Some(on_query);
    }
}

/// Nothing here is to be dropped: an error jumps over this frame.
unsafe extern "C-unwind" fn on_query(
    state: *mut pg_sys::ParseState,
    query: *mut pg_sys::Query,
    jumble: *mut pg_sys::JumbleState,
) {
    // SAFETY: the server's own arguments; a query has just been analysed and is a tree.
    unsafe {
        if let Some(next) = NEXT {
            next(state, query, jumble);
        }
        if ON.get() {
            walk(query.cast(), std::ptr::null_mut());
        }
    }
}

/// Notes what a node names and goes on to those below it. Nothing here is to be dropped, either.
unsafe extern "C-unwind" fn walk(node: *mut Node, context: *mut c_void) -> bool {
    // SAFETY: the walkers of the server call this with each node below the one they were given, of the
    // type that its tag names (nodeFuncs.c).
    unsafe {
        if node.is_null() {
            return false;
        }
        match (*node).type_ {
            NodeTag::T_Query => {
                let query = node.cast::<pg_sys::Query>();
                let utility = (*query).utilityStmt;
                if !utility.is_null() && (*utility).type_ == NodeTag::T_CreateTableAsStmt {
                    let inner = (*utility.cast::<pg_sys::CreateTableAsStmt>()).query;
                    if !inner.is_null() && (*inner).type_ == NodeTag::T_Query {
                        walk(inner, context);
                    }
                }
                return compat::walk_query(query, walk, context);
            }
            tag => note(tag, node),
        }
        compat::walk_expression(node, walk, context)
    }
}

unsafe fn note(tag: NodeTag, node: *mut Node) {
    macro_rules! field {
        ($node:ident, $field:ident) => {
            // SAFETY: the caller's tag names the type.
            unsafe { (*node.cast::<pg_sys::$node>()).$field }
        };
    }
    match tag {
        NodeTag::T_Const => {
            // SAFETY: as above.
            let constant = unsafe { &*node.cast::<pg_sys::Const>() };
            names_type(constant.consttype);
            if !constant.constisnull {
                names_object(constant.consttype, constant.constvalue);
            }
        }
        NodeTag::T_Param => names_type(field!(Param, paramtype)),
        NodeTag::T_CoerceViaIO => names_type(field!(CoerceViaIO, resulttype)),
        NodeTag::T_CoerceToDomain => names_type(field!(CoerceToDomain, resulttype)),
        NodeTag::T_RelabelType => names_type(field!(RelabelType, resulttype)),
        NodeTag::T_ArrayCoerceExpr => names_type(field!(ArrayCoerceExpr, resulttype)),
        NodeTag::T_RowExpr => names_type(field!(RowExpr, row_typeid)),
        NodeTag::T_FuncExpr => {
            names_type(field!(FuncExpr, funcresulttype));
            call(field!(FuncExpr, funcid));
        }
        NodeTag::T_Aggref => call(field!(Aggref, aggfnoid)),
        NodeTag::T_WindowFunc => call(field!(WindowFunc, winfnoid)),
        NodeTag::T_OpExpr | NodeTag::T_DistinctExpr | NodeTag::T_NullIfExpr => {
            names_operator(field!(OpExpr, opno));
        }
        NodeTag::T_ScalarArrayOpExpr => names_operator(field!(ScalarArrayOpExpr, opno)),
        _ => {}
    }
}

fn read(object: Object) {
    if !object.is_system() {
        touch(object, Access::Read);
    }
}

fn names_type(id: Oid) {
    let class = class::TYPE;
    read(Object { class, id });
}

fn names_operator(id: Oid) {
    let class = class::OPERATOR;
    read(Object { class, id });
}

/// A constant that is an object: `'users'::regclass`.
fn names_object(kind: Oid, value: pg_sys::Datum) {
    let class = match kind {
        pg_sys::REGCLASSOID => class::RELATION,
        pg_sys::REGPROCOID | pg_sys::REGPROCEDUREOID => class::PROCEDURE,
        pg_sys::REGTYPEOID => class::TYPE,
        pg_sys::REGNAMESPACEOID => class::NAMESPACE,
        pg_sys::REGROLEOID => class::ROLE,
        pg_sys::REGOPEROID | pg_sys::REGOPERATOROID => class::OPERATOR,
        pg_sys::REGCONFIGOID => class::TEXT_SEARCH_CONFIGURATION,
        pg_sys::REGDICTIONARYOID => class::TEXT_SEARCH_DICTIONARY,
        pg_sys::REGCOLLATIONOID => class::COLLATION,
        _ => return,
    };
    let id = Oid::from_u32(value.value() as u32);
    if id != pg_sys::InvalidOid {
        read(Object { class, id });
    }
}
