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

// Called for each row: the bindings of pgrx wrap each call into a jump of its own, which would cost more than the call. Where one of these
// raises an error (out of memory), it jumps over frames that own nothing to drop.
mod raw {
    use pgrx::pg_sys::{Bitmapset, Datum, HeapTuple, TupleDesc};
    unsafe extern "C-unwind" {
        pub fn nocachegetattr(tuple: HeapTuple, number: i32, descriptor: TupleDesc) -> Datum;
        pub fn heap_modify_tuple_by_cols(
            tuple: HeapTuple,
            descriptor: TupleDesc,
            count: i32,
            columns: *const i32,
            values: *const Datum,
            nulls: *const bool,
        ) -> HeapTuple;
        pub fn bms_is_member(member: i32, set: *const Bitmapset) -> bool;
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
        let mut callback = pg_sys::ErrorContextCallback {
            previous: std::ptr::null_mut(),
            callback: Some(say_where),
            arg: (*trigger).tg_trigger.cast::<c_void>(),
        };
        let plan = {
            let made = !(*(*fcinfo).flinfo).fn_extra.is_null();
            let _context = (!made).then(|| ErrorContext::push(&mut callback));
            &*raise(Plan::of((*fcinfo).flinfo, trigger))
        };
        // Assignments raise no error but a conflict, which says by itself where it comes from.
        let _context = (!plan.forth.is_assignment()).then(|| ErrorContext::push(&mut callback));
        match (*trigger).tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => insert(plan, trigger),
            _ => update(plan, trigger),
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
        // Of one that is NULL the other follows, whatever the default is.
        let both = source.is_some() && copy.is_some();
        let is_default = both && plan.is_default(trigger, source);
        let is_default_of_copy = both && !is_default && plan.is_default_of_copy(trigger, copy);
        let brought = |value: Value, is_default: bool| match value {
            None => Brought::Null,
            Some(_) if is_default => Brought::Default,
            Some(_) => Brought::Value,
        };
        let action = inserted(
            brought(source, is_default),
            brought(copy, is_default_of_copy),
        );
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
            Action::Conflict => return raise(Err(conflict(plan, trigger))),
        };
        let number = c_int::from(column.number);
        let datum = value.unwrap_or(pg_sys::Datum::from(0));
        let is_null = value.is_none();
        let descriptor = (*(*trigger).tg_relation).rd_att;
        let changed =
            raw::heap_modify_tuple_by_cols(tuple, descriptor, 1, &number, &datum, &is_null);
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
            let value = |number: i16| attribute(tuple, number, descriptor);
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

/// A column of a row (heap_getattr, access/htup_details.h).
unsafe fn attribute(tuple: pg_sys::HeapTuple, number: i16, descriptor: pg_sys::TupleDesc) -> Value {
    // SAFETY: the number is that of a column of the row's table; the bits of NULLs are there if the header says so.
    unsafe {
        let header = (*tuple).t_data;
        let at = (number - 1) as usize;
        let stored = u32::from((*header).t_infomask2) & pg_sys::HEAP_NATTS_MASK;
        if at as u32 >= stored {
            // It was added after the row was written.
            return htup::heap_getattr_raw(tuple, NonZeroUsize::new(at + 1)?, descriptor);
        }
        let has_nulls = u32::from((*header).t_infomask) & pg_sys::HEAP_HASNULL != 0;
        if has_nulls && *(*header).t_bits.as_ptr().add(at >> 3) & (1 << (at & 7)) == 0 {
            return None;
        }
        Some(raw::nocachegetattr(tuple, number.into(), descriptor))
    }
}

/// Whether the UPDATE names a column.
unsafe fn names(trigger: *mut pg_sys::TriggerData, number: i16) -> bool {
    // SAFETY: the set belongs to the trigger's data; its members are offset as the server does it.
    unsafe {
        let member = i32::from(number) - pg_sys::FirstLowInvalidHeapAttributeNumber;
        raw::bms_is_member(member, (*trigger).tg_updatedcols)
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
unsafe fn conflict(plan: &Plan, trigger: *mut pg_sys::TriggerData) -> Failure {
    // SAFETY: the caller's.
    unsafe {
        let relation = (*trigger).tg_relation;
        let table =
            CStr::from_ptr(std::ptr::addr_of!((*(*relation).rd_rel).relname.data).cast::<c_char>());
        let (source, copy) = (
            argument((*trigger).tg_trigger, 1),
            argument((*trigger).tg_trigger, 2),
        );
        let mut failure = Failure::new(
            Code::Conflict,
            format!(
                "columns \"{source}\" and \"{copy}\" of table \"{}\" are kept in step and were written to different values",
                table.to_string_lossy()
            ),
            format!(
                "write only one of them, or the same to both; code of the old release writes \"{source}\" or \"{copy}\" alone"
            ),
        );
        if plan.forth.is_assignment() {
            let change = argument((*trigger).tg_trigger, 0);
            failure.add_context(&format!(
                "column change {change}: \"{source}\" and \"{copy}\" are kept in step"
            ));
        }
        failure
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
struct ErrorContext(*mut pg_sys::ErrorContextCallback);

impl ErrorContext {
    /// `callback` stays where it is as long as this lives.
    unsafe fn push(callback: &mut pg_sys::ErrorContextCallback) -> ErrorContext {
        // SAFETY: it is taken off the stack when this is dropped, or by the error that takes us out.
        unsafe {
            callback.previous = pg_sys::error_context_stack;
            pg_sys::error_context_stack = callback;
            ErrorContext(callback.previous)
        }
    }
}

impl Drop for ErrorContext {
    fn drop(&mut self) {
        // SAFETY: what was there before.
        unsafe { pg_sys::error_context_stack = self.0 };
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
