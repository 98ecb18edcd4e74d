//! A value of one column made from a value of another: an assignment, or an expression over one variable.

use std::ffi::{CStr, CString};

use pgrx::pg_sys::{self, NodeTag};

use super::Value;
use super::plan::Column;
use crate::error::{Code, Failure, Result};
use crate::pg::list::cells;
use crate::pg::settings;

/// Compiled; `None` where both columns are of one type and nothing is to be done.
pub struct Conversion(Option<Compiled>);

struct Compiled {
    state: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
    parameters: *mut pg_sys::ParamListInfoData,
    of_type: pg_sys::Oid,
    /// Whether the value may depend on more than the one it is made of.
    is_mutable: bool,
}

impl Conversion {
    /// Compiles an expression, or the assignment that its absence means, in the current memory context.
    pub unsafe fn compile(
        text: &str,
        variable: &str,
        from: &Column,
        to: &Column,
    ) -> Result<Conversion> {
        if text.is_empty() && from.of_type == to.of_type && from.modifier == to.modifier {
            return Ok(Conversion(None));
        }
        // SAFETY: a transaction is open; everything is allocated in the current context and lives as long.
        unsafe {
            let level = settings::open_level();
            settings::set_for_level(c"search_path", c"pg_catalog, pg_temp");
            let parsed = parsed(text, variable, from, to);
            settings::close_level(level);
            let parsed = parsed?;
            let is_mutable = pg_sys::contain_mutable_functions(parsed);
            let planned = pg_sys::expression_planner(parsed.cast::<pg_sys::Expr>());
            let parameters = pg_sys::makeParamList(1);
            let state = pg_sys::ExecInitExprWithParams(planned, parameters);
            let context = pg_sys::CreateStandaloneExprContext();
            (*context).ecxt_param_list_info = parameters;
            Ok(Conversion(Some(Compiled {
                state,
                context,
                parameters,
                of_type: from.of_type,
                is_mutable,
            })))
        }
    }

    /// Whether the value stays as it is.
    pub fn is_assignment(&self) -> bool {
        self.0.is_none()
    }

    /// The value that is made of it, in memory that lives until the next one is made.
    pub unsafe fn of(&self, value: Value) -> Value {
        let Some(compiled) = &self.0 else {
            return value;
        };
        // SAFETY: the list has one parameter; the value is of the type that it was compiled for.
        unsafe {
            let parameter = (*compiled.parameters).params.as_mut_ptr();
            (*parameter).value = value.unwrap_or(pg_sys::Datum::from(0));
            (*parameter).isnull = value.is_none();
            (*parameter).pflags = 0;
            (*parameter).ptype = compiled.of_type;
            evaluate(compiled.state, compiled.context)
        }
    }
}

/// Evaluates an expression; what it made before in the same context is let go.
pub unsafe fn evaluate(state: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> Value {
    // SAFETY: the state was initialised by ExecInitExpr; its evaluation function is set.
    unsafe {
        if state.is_null() {
            return None;
        }
        pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*context).ecxt_per_tuple_memory;
        let mut is_null = false;
        // Unguarded: an error keeps all its fields, and jumps over frames that own nothing to drop.
        let value = (*state)
            .evalfunc
            .map(|evaluate| evaluate(state, context, &mut is_null));
        pg_sys::CurrentMemoryContext = before;
        value.filter(|_| !is_null)
    }
}

/// What the hook of column references has to know.
struct Variable {
    name: CString,
    of_type: pg_sys::Oid,
    modifier: i32,
    collation: pg_sys::Oid,
}

/// The expression as a value of the target's type, in place of the variable a parameter.
unsafe fn parsed(
    text: &str,
    variable: &str,
    from: &Column,
    to: &Column,
) -> Result<*mut pg_sys::Node> {
    let refused = || {
        Failure::new(
            Code::InvalidParameter,
            format!("\"{text}\" is not one expression"),
            format!(
                "write an expression over \"{variable}\", as in \"using\" => 'upper({variable})'"
            ),
        )
    };
    let name = CString::new(variable).map_err(|_| refused())?;
    let text = match text.is_empty() {
        true => pgrx::spi::quote_identifier(variable),
        false => text.to_owned(),
    };
    let sql = CString::new(format!("SELECT {text}\n")).map_err(|_| refused())?;
    let mut variable = Variable {
        name,
        of_type: from.of_type,
        modifier: from.modifier,
        collation: from.collation,
    };
    // SAFETY: the text outlives the raw tree; the variable outlives the parse state that points to it.
    unsafe {
        let raw = only_expression(&sql).ok_or_else(refused)?;
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        (*state).p_sourcetext = sql.as_ptr();
        (*state).p_pre_columnref_hook = Some(column_reference);
        (*state).p_ref_hook_state = std::ptr::addr_of_mut!(variable).cast();
        let kind = pg_sys::ParseExprKind::EXPR_KIND_ALTER_COL_TRANSFORM;
        let expression = pg_sys::transformExpr(state, raw, kind);
        let of_type = pg_sys::exprType(expression);
        let assigned = pg_sys::coerce_to_target_type(
            state,
            expression,
            of_type,
            to.of_type,
            to.modifier,
            pg_sys::CoercionContext::COERCION_ASSIGNMENT,
            pg_sys::CoercionForm::COERCE_IMPLICIT_CAST,
            -1,
        );
        if assigned.is_null() {
            return Err(no_cast(of_type, to.of_type));
        }
        pg_sys::assign_expr_collations(state, assigned);
        (*state).p_sourcetext = std::ptr::null();
        (*state).p_ref_hook_state = std::ptr::null_mut();
        if pg_sys::contain_volatile_functions(assigned) {
            return Err(Failure::new(
                Code::InvalidParameter,
                format!("\"{text}\" may give another value each time"),
                "use functions that are IMMUTABLE or STABLE",
            ));
        }
        Ok(assigned)
    }
}

fn no_cast(from: pg_sys::Oid, to: pg_sys::Oid) -> Failure {
    let name = |of_type| {
        // SAFETY: a catalog lookup that returns a palloc'd string.
        unsafe { CStr::from_ptr(pg_sys::format_type_be(of_type)) }
            .to_string_lossy()
            .into_owned()
    };
    Failure::new(
        Code::DatatypeMismatch,
        format!(
            "a value of type {} cannot be assigned to type {}",
            name(from),
            name(to)
        ),
        "pass \"using\" => and back => expressions that make one of the other, as in back => 'c::integer'",
    )
}

/// The expression of `SELECT expression`, if that is all there is.
unsafe fn only_expression(sql: &CStr) -> Option<*mut pg_sys::Node> {
    // SAFETY: cells of pg_parse_query are RawStmt nodes; the casts follow the tags.
    unsafe {
        let mut statements = cells(pg_sys::pg_parse_query(sql.as_ptr()));
        let first = (*(statements.next()? as *mut pg_sys::RawStmt)).stmt;
        if statements.next().is_some() || (*first).type_ != NodeTag::T_SelectStmt {
            return None;
        }
        let select = first as *mut pg_sys::SelectStmt;
        if !super::super::parse::update::is_bare(select) {
            return None;
        }
        let mut targets = cells((*select).targetList);
        let target = targets.next()? as *mut pg_sys::ResTarget;
        (targets.next().is_none() && (*target).name.is_null()).then_some((*target).val)
    }
}

/// The variable, where its name stands; everything else is left to the server, which knows no other column.
unsafe extern "C-unwind" fn column_reference(
    state: *mut pg_sys::ParseState,
    reference: *mut pg_sys::ColumnRef,
) -> *mut pg_sys::Node {
    // SAFETY: the state's pointer is set by `parsed`; the fields of a reference are String or A_Star nodes.
    unsafe {
        let variable = (*state).p_ref_hook_state.cast::<Variable>();
        let mut fields = cells((*reference).fields);
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return std::ptr::null_mut();
        };
        let field = field as *mut pg_sys::String;
        if (*field).type_ != NodeTag::T_String
            || CStr::from_ptr((*field).sval) != (*variable).name.as_c_str()
        {
            return std::ptr::null_mut();
        }
        let parameter = pg_sys::palloc0(size_of::<pg_sys::Param>()).cast::<pg_sys::Param>();
        (*parameter).xpr.type_ = NodeTag::T_Param;
        (*parameter).paramkind = pg_sys::ParamKind::PARAM_EXTERN;
        (*parameter).paramid = 1;
        (*parameter).paramtype = (*variable).of_type;
        (*parameter).paramtypmod = (*variable).modifier;
        (*parameter).paramcollid = (*variable).collation;
        (*parameter).location = (*reference).location;
        parameter.cast()
    }
}

/// Checks an expression before a change begins: the server's own errors, and those of [`Conversion::compile`].
pub fn check(
    text: &str,
    variable: &str,
    from: (pg_sys::Oid, i32),
    to: (pg_sys::Oid, i32),
) -> Result<()> {
    let column = |(of_type, modifier)| Column::of_type(of_type, modifier);
    // SAFETY: a transaction is open; what is compiled is let go with the current context.
    let compiled = unsafe { Conversion::compile(text, variable, &column(from), &column(to)) }?;
    let depends = compiled.0.is_some_and(|compiled| compiled.is_mutable);
    match text.is_empty() && depends {
        false => Ok(()),
        true => Err(Failure::new(
            Code::DatatypeMismatch,
            "the cast of one type to the other depends on settings of the session",
            "pass \"using\" => and back => expressions that do not, as in \"using\" => $$c AT TIME ZONE 'UTC'$$",
        )),
    }
}
