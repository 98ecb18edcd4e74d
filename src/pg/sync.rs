//! The trigger that keeps two columns in step: BEFORE INSERT OR UPDATE FOR EACH ROW, native, without a query.
//!
//! Its arguments: the number of the change; source and copy column; the name under which an expression knows the value;
//! the expressions forth (source to copy) and back, empty for an assignment. Which column follows which is decided in
//! [`belay_core::sync`]. Values are compared by their image, so that types without an equality will do.

mod conversion;
mod in_step;
mod plan;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::num::NonZeroUsize;

use belay_core::sync::{Action, Brought, Touched, inserted, updated};
use pgrx::{htup, pg_sys};

use self::plan::Plan;
use crate::error::{Code, Failure, raise};

pub use conversion::check as check_conversion;
pub use in_step::is_out_of_step;

mod raw {
    use pgrx::pg_sys::Datum;
    unsafe extern "C-unwind" {
        pub fn datum_image_eq(one: Datum, other: Datum, by_value: bool, length: i32) -> bool;
        pub fn datumCopy(value: Datum, by_value: bool, length: i32) -> Datum;
        pub fn errcontext_msg(format: *const std::ffi::c_char, ...) -> std::ffi::c_int;
        pub fn set_errcontext_domain(domain: *const std::ffi::c_char) -> std::ffi::c_int;
    }
}

/// A value of a column; `None` = NULL.
pub(super) type Value = Option<pg_sys::Datum>;

/// What the server asks about `sync_columns_wrapper`.
///
/// By hand, since pgrx's own entry points do not return a row of the table that fired.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pg_finfo_sync_columns_wrapper() -> *const pg_sys::Pg_finfo_record {
    const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &RECORD
}

/// `belay.sync_columns()`.
#[unsafe(no_mangle)]
#[pgrx::pg_guard]
pub extern "C-unwind" fn sync_columns_wrapper(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    keep_in_step(fcinfo)
}

/// The row with its columns in step.
///
/// `fcinfo` is the one the server called with.
fn keep_in_step(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: for triggers the server sets `context` to a TriggerData node (trigger.h), whose tuples
    // live until the function returns; flinfo lives as long as the statement.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return raise(Err(no_call()));
        }
        let trigger = context.cast::<pg_sys::TriggerData>();
        let _context = ErrorContext::push((*trigger).tg_trigger);
        let plan = raise(Plan::of((*fcinfo).flinfo, trigger));
        match (*trigger).tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => insert(&*plan, trigger),
            _ => update(&*plan, trigger),
        }
    }
}

unsafe fn insert(plan: &Plan, trigger: *mut pg_sys::TriggerData) -> pg_sys::Datum {
    // SAFETY: the caller's; of INSERT the new row is tg_trigtuple.
    unsafe {
        let tuple = (*trigger).tg_trigtuple;
        let (source, copy) = plan.values(trigger, tuple);
        if plan.are_in_step(source, copy) {
            return pg_sys::Datum::from(tuple);
        }
        let brought = |value: Value, is_default: bool| match value {
            None => Brought::Null,
            Some(_) if is_default => Brought::Default,
            Some(_) => Brought::Value,
        };
        let from_source = brought(source, source.is_some() && plan.is_default(source));
        let from_copy = brought(copy, plan.is_default_of_copy(copy));
        let action = inserted(from_source, from_copy);
        act(plan, trigger, tuple, action, (source, copy))
    }
}

unsafe fn update(plan: &Plan, trigger: *mut pg_sys::TriggerData) -> pg_sys::Datum {
    // SAFETY: the caller's; of UPDATE the new row is tg_newtuple.
    unsafe {
        let (old, new) = ((*trigger).tg_trigtuple, (*trigger).tg_newtuple);
        let (source, copy) = plan.values(trigger, new);
        if plan.are_in_step(source, copy) {
            return pg_sys::Datum::from(new);
        }
        let before = plan.values(trigger, old);
        let source_touched = Touched {
            named: plan.names_source(trigger),
            changed: !plan.source.same(before.0, source),
        };
        let copy_touched = Touched {
            named: plan.names_copy(trigger),
            changed: !plan.copy.same(before.1, copy),
        };
        let action = updated(source_touched, copy_touched);
        act(plan, trigger, new, action, (source, copy))
    }
}

unsafe fn act(
    plan: &Plan,
    trigger: *mut pg_sys::TriggerData,
    tuple: pg_sys::HeapTuple,
    action: Action,
    (source, copy): (Value, Value),
) -> pg_sys::Datum {
    // SAFETY: the caller's; the new tuple is made in the memory of the row.
    unsafe {
        let (column, value) = match action {
            Action::Keep => return pg_sys::Datum::from(tuple),
            Action::CopyFollows => (&plan.copy, plan.forth.of(source)),
            Action::SourceFollows => (&plan.source, plan.back.of(copy)),
            Action::Conflict => return raise(Err(conflict(trigger))),
        };
        let mut number = column.number as c_int;
        let mut datum = value.unwrap_or(pg_sys::Datum::from(0));
        let mut is_null = value.is_none();
        let descriptor = (*(*trigger).tg_relation).rd_att;
        let changed = pg_sys::heap_modify_tuple_by_cols(
            tuple,
            descriptor,
            1,
            &raw mut number,
            &raw mut datum,
            &raw mut is_null,
        );
        pg_sys::Datum::from(changed)
    }
}

impl Plan {
    unsafe fn values(
        &self,
        trigger: *mut pg_sys::TriggerData,
        tuple: pg_sys::HeapTuple,
    ) -> (Value, Value) {
        // SAFETY: the caller's; the numbers are those of columns of the relation.
        unsafe {
            let descriptor = (*(*trigger).tg_relation).rd_att;
            let value = |number: i16| {
                let number = NonZeroUsize::new(number as usize)?;
                htup::heap_getattr_raw(tuple, number, descriptor)
            };
            (value(self.source.number), value(self.copy.number))
        }
    }

    unsafe fn names_source(&self, trigger: *mut pg_sys::TriggerData) -> bool {
        // SAFETY: the caller's.
        unsafe { names(trigger, self.source.number) }
    }

    unsafe fn names_copy(&self, trigger: *mut pg_sys::TriggerData) -> bool {
        // SAFETY: the caller's.
        unsafe { names(trigger, self.copy.number) }
    }
}

/// Whether the UPDATE names a column.
unsafe fn names(trigger: *mut pg_sys::TriggerData, number: i16) -> bool {
    // SAFETY: the set belongs to the trigger's data; its members are offset as the server does it.
    unsafe {
        let member = i32::from(number) - pg_sys::FirstLowInvalidHeapAttributeNumber;
        pg_sys::bms_is_member(member, (*trigger).tg_updatedcols.cast_mut())
    }
}

unsafe fn argument(trigger: *mut pg_sys::Trigger, number: usize) -> String {
    // SAFETY: the number is below tgnargs; arguments end with NUL.
    unsafe {
        CStr::from_ptr(*(*trigger).tgargs.add(number))
            .to_string_lossy()
            .into_owned()
    }
}

/// 27000, naming the table and both columns.
unsafe fn conflict(trigger: *mut pg_sys::TriggerData) -> Failure {
    // SAFETY: the caller's.
    unsafe {
        let relation = (*trigger).tg_relation;
        let table =
            CStr::from_ptr(std::ptr::addr_of!((*(*relation).rd_rel).relname.data).cast::<c_char>());
        let (source, copy) = (
            argument((*trigger).tg_trigger, 1),
            argument((*trigger).tg_trigger, 2),
        );
        Failure::new(
            Code::Conflict,
            format!(
                "columns \"{source}\" and \"{copy}\" of table \"{}\" are kept in step and were written to different values",
                table.to_string_lossy()
            ),
            format!(
                "write only one of them, or the same to both; code of the old release writes \"{source}\" or \"{copy}\" alone"
            ),
        )
    }
}

fn no_call() -> Failure {
    Failure::new(
        Code::InvalidParameter,
        "this function is a trigger of Belay's",
        "CALL belay.rename_column_concurrently() makes it",
    )
}

/// While it lives, errors say that they come from keeping two columns in step.
struct ErrorContext(Box<pg_sys::ErrorContextCallback>);

impl ErrorContext {
    unsafe fn push(trigger: *mut pg_sys::Trigger) -> ErrorContext {
        // SAFETY: the callback is taken off the stack when this is dropped, or by the error that takes us out.
        unsafe {
            let mut callback = Box::new(pg_sys::ErrorContextCallback {
                previous: pg_sys::error_context_stack,
                callback: Some(say_where),
                arg: trigger.cast::<c_void>(),
            });
            pg_sys::error_context_stack = &mut *callback;
            ErrorContext(callback)
        }
    }
}

impl Drop for ErrorContext {
    fn drop(&mut self) {
        // SAFETY: what was there before.
        unsafe { pg_sys::error_context_stack = self.0.previous };
    }
}

unsafe extern "C-unwind" fn say_where(trigger: *mut c_void) {
    // SAFETY: the trigger outlives the callback; errcontext_msg copies its text.
    unsafe {
        let trigger = trigger.cast::<pg_sys::Trigger>();
        raw::set_errcontext_domain(std::ptr::null());
        raw::errcontext_msg(
            c"column change %s: \"%s\" and \"%s\" are kept in step".as_ptr(),
            *(*trigger).tgargs,
            *(*trigger).tgargs.add(1),
            *(*trigger).tgargs.add(2),
        );
    }
}
