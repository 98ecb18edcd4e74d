//! One statement through a portal of its own, as a client's simple query runs it.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys;

use super::compat;
use super::parse::{Script, Statement};
use crate::error::Result;

thread_local! {
    /// Owned by [`Memory`]; one a session, reset rather than deleted, so that a migration
    /// that fails leaves nothing behind.
    static MIGRATION_MEMORY: Cell<pg_sys::MemoryContext> = const { Cell::new(std::ptr::null_mut()) };
}

/// Memory of one migration: parse trees and plans.
///
/// Made under TopMemoryContext, so that it survives the commits of a non-transactional one.
pub struct Memory {
    context: pg_sys::MemoryContext,
    before: pg_sys::MemoryContext,
    /// Whether the context ends with this value.
    own: bool,
}

impl Memory {
    /// Empties the context and switches to it.
    pub fn enter() -> Memory {
        // SAFETY: TopMemoryContext lives as long as the session. Nobody is inside the
        // context: migrations do not nest.
        unsafe {
            if MIGRATION_MEMORY.get().is_null() {
                let context = new_context(pg_sys::TopMemoryContext, c"belay migration");
                MIGRATION_MEMORY.set(context);
            }
            let before = pg_sys::CurrentMemoryContext;
            let context = MIGRATION_MEMORY.get();
            pg_sys::MemoryContextReset(context);
            pg_sys::CurrentMemoryContext = context;
            Memory {
                context,
                before,
                own: false,
            }
        }
    }

    /// Memory of a worker's piece of work; what that runs empties the memory of migrations.
    pub fn alone() -> Memory {
        // SAFETY: TopMemoryContext lives as long as the process.
        unsafe {
            let before = pg_sys::CurrentMemoryContext;
            let context = new_context(pg_sys::TopMemoryContext, c"belay worker");
            pg_sys::CurrentMemoryContext = context;
            Memory {
                context,
                before,
                own: true,
            }
        }
    }

    /// Memory of a call that may come from a migration, whose own must stay as it is. It goes with
    /// the memory of the CALL, which outlives its commits, when an error takes us out.
    pub fn enter_within() -> Memory {
        // SAFETY: a procedure is called in a context of its CALL's portal.
        unsafe {
            let before = pg_sys::CurrentMemoryContext;
            let context = new_context(before, c"belay call");
            pg_sys::CurrentMemoryContext = context;
            Memory {
                context,
                before,
                own: true,
            }
        }
    }
}

impl Memory {
    /// Switches to it once more: a transaction that began meanwhile has its own.
    pub fn switch(&self) {
        // SAFETY: the context lives as long as this value.
        unsafe { pg_sys::CurrentMemoryContext = self.context };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: nothing of the context is used after the migration.
        unsafe {
            pg_sys::CurrentMemoryContext = self.before;
            match self.own {
                true => pg_sys::MemoryContextDelete(self.context),
                false => pg_sys::MemoryContextReset(self.context),
            }
        }
    }
}

unsafe fn new_context(parent: pg_sys::MemoryContext, name: &'static CStr) -> pg_sys::MemoryContext {
    // SAFETY: the name is static, as the server requires.
    unsafe {
        pg_sys::AllocSetContextCreateInternal(
            parent,
            name.as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        )
    }
}

/// Runs one statement of a script. `top_level` lets it commit by itself.
///
/// Source: exec_simple_query (postgres.c); no SPI connection may be open here when
/// `top_level` is set.
pub fn run(script: &Script, statement: &Statement, top_level: bool) -> Result<()> {
    // SAFETY: raw tree and text live in the script; the statement's own context is deleted
    // at the end, and by its parent's deletion after an error.
    unsafe {
        let outer = pg_sys::CurrentMemoryContext;
        let context = new_context(outer, c"belay statement");
        pg_sys::CurrentMemoryContext = context;
        run_raw(statement.raw, &script.text, top_level);
        pg_sys::CurrentMemoryContext = outer;
        pg_sys::MemoryContextDelete(context);
    }
    Ok(())
}

unsafe fn run_raw(raw: *mut pg_sys::RawStmt, source: &CStr, top_level: bool) {
    // SAFETY: the caller's; each call follows the order of exec_simple_query.
    unsafe {
        let snapshot = pg_sys::analyze_requires_snapshot(raw);
        if snapshot {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let queries = pg_sys::pg_analyze_and_rewrite_fixedparams(
            raw,
            source.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        );
        let plans = pg_sys::pg_plan_queries(
            queries,
            source.as_ptr(),
            pg_sys::CURSOR_OPT_PARALLEL_OK as i32,
            std::ptr::null_mut(),
        );
        if snapshot {
            pg_sys::PopActiveSnapshot();
        }
        pgrx::check_for_interrupts!();

        let portal = pg_sys::CreateNewPortal();
        (*portal).visible = false;
        pg_sys::PortalDefineQuery(
            portal,
            std::ptr::null(),
            source.as_ptr(),
            pg_sys::CreateCommandTag((*raw).stmt),
            plans,
            std::ptr::null_mut(),
        );
        pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
        let receiver = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        let mut completion: pg_sys::QueryCompletion = std::mem::zeroed();
        compat::portal_run(portal, top_level, receiver, &mut completion);
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommandCounterIncrement();
    }
}
