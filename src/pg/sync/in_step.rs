//! `belay.is_out_of_step(...)`: whether two values are made of each other, by the conversions of a change.

use pgrx::{FromDatum, pg_sys};

use super::conversion::Conversion;
use super::plan::Column;
use crate::error::Result;

/// Of one call in a statement, in the memory of the statement.
struct Compared {
    source: Column,
    copy: Column,
    forth: Conversion,
    back: Conversion,
}

/// Whether the values, the fourth and the fifth argument, are out of step. The first three are the name of the value in
/// expressions and the expressions; they are read once a statement.
///
/// `fcinfo` is the one the server called with.
pub fn is_out_of_step(fcinfo: pg_sys::FunctionCallInfo) -> Result<bool> {
    // SAFETY: the function has five arguments; fn_extra is its own.
    unsafe {
        let compared = compared(fcinfo)?;
        let arguments = (*fcinfo).args.as_slice(5);
        let value = |at: usize| (!arguments[at].isnull).then_some(arguments[at].value);
        let (source, copy) = (value(3), value(4));
        let this = &*compared;
        let in_step = this.copy.same(this.forth.of(source), copy)
            || (copy.is_some() && this.source.same(this.back.of(copy), source));
        Ok(!in_step)
    }
}

unsafe fn compared(fcinfo: pg_sys::FunctionCallInfo) -> Result<*const Compared> {
    // SAFETY: the caller's; what is made lives as long as the call's info.
    unsafe {
        let info = (*fcinfo).flinfo;
        if !(*info).fn_extra.is_null() {
            return Ok((*info).fn_extra.cast::<Compared>());
        }
        let arguments = (*fcinfo).args.as_slice(5);
        let text = |at: usize| {
            String::from_datum(arguments[at].value, arguments[at].isnull).unwrap_or_default()
        };
        let (variable, forth, back) = (text(0), text(1), text(2));
        let column = |at: usize| {
            let expressions = (*((*info).fn_expr as *mut pg_sys::FuncExpr)).args;
            let argument = (*(*expressions).elements.add(at))
                .ptr_value
                .cast::<pg_sys::Node>();
            Column::of_type(pg_sys::exprType(argument), pg_sys::exprTypmod(argument))
        };
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*info).fn_mcxt;
        let (source, copy) = (column(3), column(4));
        let forth = Conversion::compile(&forth, &variable, &source, &copy);
        let back = Conversion::compile(&back, &variable, &copy, &source);
        pg_sys::CurrentMemoryContext = before;
        let made = Compared {
            source,
            copy,
            forth: forth?,
            back: back?,
        };
        let room =
            pg_sys::MemoryContextAlloc((*info).fn_mcxt, size_of::<Compared>()).cast::<Compared>();
        // Nothing in it needs to be dropped.
        room.write(made);
        (*info).fn_extra = room.cast();
        Ok(room)
    }
}
