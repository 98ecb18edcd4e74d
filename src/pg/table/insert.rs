//! Rows on their way into a table, as a subscription's apply worker brings them in.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::Table;
use crate::error::Result;
use crate::pg::row::{Field, column};

impl Table {
    /// Adds a row; see [`Table::insert_all`].
    pub fn insert(&self, fields: &[(&CStr, Field<'_>)]) -> Result<()> {
        self.insert_all(std::iter::once(fields))
    }

    /// Adds rows, which all name the same columns in the same order; what is not named is NULL,
    /// whatever its default is. Triggers of single rows have run when this returns, those of
    /// statements do not run.
    pub fn insert_all<'f, R>(&self, rows: impl IntoIterator<Item = R>) -> Result<()>
    where
        R: AsRef<[(&'f CStr, Field<'f>)]>,
    {
        let mut rows = rows.into_iter().peekable();
        let Some(first) = rows.peek() else {
            return Ok(());
        };
        let columns = self.places(first.as_ref())?;
        // SAFETY: what the apply worker of a subscription does with a row (worker.c): an
        // executor state of its own, the table as the one result relation, outside of any
        // range table. All of it is freed here, or with the transaction after an error of the
        // server; nothing else leads out.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let estate = pg_sys::CreateExecutorState();
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = (*estate).es_query_cxt;
            let result: *mut pg_sys::ResultRelInfo =
                pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            pg_sys::InitResultRelInfo(result, self.relation, 0, std::ptr::null_mut(), 0);
            (*estate).es_opened_result_relations =
                pg_sys::lappend(std::ptr::null_mut(), result.cast());
            (*estate).es_output_cid = pg_sys::GetCurrentCommandId(true);
            let slot =
                pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsVirtual);
            pg_sys::AfterTriggerBeginQuery();
            pg_sys::ExecOpenIndices(result, false);
            for fields in rows {
                if let Some(clear) = (*(*slot).tts_ops).clear {
                    clear(slot);
                }
                fill(slot, &columns, fields.as_ref());
                pg_sys::ExecSimpleRelationInsert(result, estate, slot);
            }
            pg_sys::ExecCloseIndices(result);
            pg_sys::AfterTriggerEndQuery(estate);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::ExecResetTupleTable((*estate).es_tupleTable, false);
            pg_sys::CurrentMemoryContext = before;
            pg_sys::FreeExecutorState(estate);
            pg_sys::PopActiveSnapshot();
            pg_sys::CommandCounterIncrement();
        }
        Ok(())
    }

    /// Where the named columns stand in a row, from 0.
    fn places(&self, fields: &[(&CStr, Field<'_>)]) -> Result<Vec<usize>> {
        fields
            .iter()
            // SAFETY: the relation is open.
            .map(|(name, _)| Ok(unsafe { column((*self.relation).rd_att, name)? } - 1))
            .collect()
    }
}

/// Puts values into an empty virtual slot.
///
/// # Safety
/// `columns` are places in a row of the slot's shape.
unsafe fn fill(
    slot: *mut pg_sys::TupleTableSlot,
    columns: &[usize],
    fields: &[(&CStr, Field<'_>)],
) {
    // SAFETY: the caller's; both arrays of the slot have a place for each column.
    unsafe {
        let width = (*(*slot).tts_tupleDescriptor).natts as usize;
        std::slice::from_raw_parts_mut((*slot).tts_isnull, width).fill(true);
        for (at, (_, field)) in columns.iter().zip(fields) {
            if let Some(datum) = field.datum() {
                *(*slot).tts_values.add(*at) = datum;
                *(*slot).tts_isnull.add(*at) = false;
            }
        }
        pg_sys::ExecStoreVirtualTuple(slot);
    }
}
