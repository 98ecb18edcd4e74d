//! What the trigger has to know of a table, found once a statement.

use std::cell::OnceCell;
use std::ffi::CString;

use pgrx::pg_sys;

use super::conversion::Conversion;
use super::{Value, argument, raw};
use crate::error::{Code, Failure, Result};
use crate::pg::compat;

/// A column.
#[derive(Clone, Copy)]
pub struct Column {
    /// pg_attribute.attnum
    pub number: i16,
    /// pg_attribute.atttypid
    pub of_type: pg_sys::Oid,
    /// pg_attribute.atttypmod
    pub modifier: i32,
    /// pg_attribute.attcollation
    pub collation: pg_sys::Oid,
    by_value: bool,
    length: i16,
}

impl Column {
    /// Whether two values have one image.
    pub fn same(&self, one: Value, other: Value) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) if self.by_value => one == other,
            // SAFETY: both are values of the column's type.
            (Some(one), Some(other)) => unsafe {
                raw::datum_image_eq(one, other, self.by_value, self.length.into())
            },
            _ => false,
        }
    }

    /// As if there were one of that type.
    pub fn of_type(of_type: pg_sys::Oid, modifier: i32) -> Column {
        let (mut length, mut by_value) = (0, false);
        // SAFETY: a catalog lookup; the type exists.
        let collation = unsafe {
            pg_sys::get_typlenbyval(of_type, &mut length, &mut by_value);
            pg_sys::get_typcollation(of_type)
        };
        Column {
            number: 0,
            of_type,
            modifier,
            collation,
            by_value,
            length,
        }
    }

    unsafe fn find(relation: pg_sys::Relation, name: &str) -> Result<Column> {
        let missing = || {
            Failure::new(
                Code::UndefinedColumn,
                format!("column \"{name}\", which is kept in step with another, has gone"),
                "CALL belay.undo_rename_column_concurrently() or the verb that began it takes the rest away",
            )
        };
        let text = CString::new(name).map_err(|_| missing())?;
        // SAFETY: the relation is open; the number is checked before it is used.
        unsafe {
            let descriptor = (*relation).rd_att;
            let number = pg_sys::attnameAttNum(relation, text.as_ptr(), false);
            if number <= 0 {
                return Err(missing());
            }
            let attribute = compat::attribute(descriptor, (number - 1) as usize);
            Ok(Column {
                number: number as i16,
                of_type: (*attribute).atttypid,
                modifier: (*attribute).atttypmod,
                collation: (*attribute).attcollation,
                by_value: (*attribute).attbyval,
                length: (*attribute).attlen,
            })
        }
    }
}

/// The default of a column, as an INSERT that does not name it would see it.
enum Default {
    /// There is none.
    None,
    /// It gives another value each time.
    Volatile,
    /// It is computed once a statement.
    Value(pg_sys::Datum),
}

/// Of one table, in the memory of the statement.
pub struct Plan {
    /// What was there first.
    pub source: Column,
    /// What was added.
    pub copy: Column,
    /// Source to copy.
    pub forth: Conversion,
    /// Copy to source.
    pub back: Conversion,
    /// Looked up by the first INSERT that needs it: an UPDATE, or who names one column only, must not fail by it.
    default: OnceCell<Default>,
    /// Where it lives.
    memory: pg_sys::MemoryContext,
}

impl Plan {
    /// The plan of the statement; made at its first row.
    pub unsafe fn of(
        call: *mut pg_sys::FmgrInfo,
        trigger: *mut pg_sys::TriggerData,
    ) -> Result<*const Plan> {
        // SAFETY: fn_extra is the function's own, and is NULL at first; the memory lives as long as the call's info.
        unsafe {
            if !(*call).fn_extra.is_null() {
                return Ok((*call).fn_extra.cast::<Plan>());
            }
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = (*call).fn_mcxt;
            let plan = Plan::make(trigger);
            let kept = plan.map(|plan| {
                let room = pg_sys::palloc(size_of::<Plan>()).cast::<Plan>();
                // Nothing in it needs to be dropped: all of it is the server's memory.
                room.write(plan);
                room.cast_const()
            });
            pg_sys::CurrentMemoryContext = before;
            let kept = kept?;
            (*call).fn_extra = kept.cast_mut().cast();
            Ok(kept)
        }
    }

    unsafe fn make(trigger: *mut pg_sys::TriggerData) -> Result<Plan> {
        // SAFETY: the caller's.
        unsafe {
            let (relation, definition) = ((*trigger).tg_relation, (*trigger).tg_trigger);
            if (*definition).tgnargs != 6 {
                return Err(Failure::new(
                    Code::InvalidParameter,
                    "the trigger has not the arguments that Belay gives it",
                    "DROP TRIGGER, then call the verb of the column change again",
                ));
            }
            let text = |number| argument(definition, number);
            let source = Column::find(relation, &text(1))?;
            let copy = Column::find(relation, &text(2))?;
            let variable = text(3);
            Ok(Plan {
                forth: Conversion::compile(&text(4), &variable, &source, &copy)?,
                back: Conversion::compile(&text(5), &variable, &copy, &source)?,
                default: OnceCell::new(),
                memory: pg_sys::CurrentMemoryContext,
                source,
                copy,
            })
        }
    }

    /// Whether either value is made from the other.
    pub fn are_in_step(&self, source: Value, copy: Value) -> bool {
        if self.forth.is_assignment() {
            return self.copy.same(source, copy);
        }
        // SAFETY: the values are of the types that the conversions were compiled for.
        unsafe {
            self.copy.same(self.forth.of(source), copy)
                || (copy.is_some() && self.source.same(self.back.of(copy), source))
        }
    }

    /// Whether an INSERT that does not name the source may have brought this value.
    pub unsafe fn is_default(&self, trigger: *mut pg_sys::TriggerData, source: Value) -> bool {
        // SAFETY: the caller's.
        match unsafe { self.default(trigger) } {
            Default::None => false,
            Default::Volatile => true,
            Default::Value(value) => self.source.same(Some(*value), source),
        }
    }

    /// Whether the value is what the copy is made of the source's default.
    pub unsafe fn is_default_of_copy(
        &self,
        trigger: *mut pg_sys::TriggerData,
        copy: Value,
    ) -> bool {
        // SAFETY: the caller's; the default is a value of the source's type.
        unsafe {
            match self.default(trigger) {
                Default::None | Default::Volatile => false,
                Default::Value(value) => self.copy.same(self.forth.of(Some(*value)), copy),
            }
        }
    }

    unsafe fn default(&self, trigger: *mut pg_sys::TriggerData) -> &Default {
        // SAFETY: the caller's; what is made lives in the memory of the plan, and so as long.
        self.default.get_or_init(|| unsafe {
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.memory;
            let default = default_of((*trigger).tg_relation, &self.source);
            pg_sys::CurrentMemoryContext = before;
            default
        })
    }
}

/// The value of the source's default. One that is not the same in each row counts as any value.
unsafe fn default_of(relation: pg_sys::Relation, column: &Column) -> Default {
    // SAFETY: the relation is open; the expression is evaluated in memory that lives as long as the plan.
    unsafe {
        let expression = pg_sys::build_column_default(relation, column.number.into());
        if expression.is_null() {
            return Default::None;
        }
        if pg_sys::contain_volatile_functions(expression) {
            return Default::Volatile;
        }
        let planned = pg_sys::expression_planner(expression.cast::<pg_sys::Expr>());
        let state = pg_sys::ExecInitExpr(planned, std::ptr::null_mut());
        let context = pg_sys::CreateStandaloneExprContext();
        match super::conversion::evaluate(state, context) {
            None => Default::None,
            Some(value) => {
                Default::Value(raw::datumCopy(value, column.by_value, column.length.into()))
            }
        }
    }
}
