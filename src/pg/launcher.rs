//! The launcher: where the library is preloaded, it sends a visitor into each database now and then.

use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys::{self, Oid};

use super::client;
use super::portal::Memory;
use super::worker::{self, Order, Task};

/// How long a visitor may take: one that waits to get into its database holds up those of the others.
const LONGEST_VISIT: Duration = Duration::from_secs(10);

/// The life of the launcher, called by the server: a visitor into each database, one after the other, and a nap.
// SAFETY: the name is this extension's own; the server looks it up.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn belay_launcher_main(_argument: pg_sys::Datum) {
    worker::begin();
    BackgroundWorker::connect_worker_to_spi_by_oid(None, None);
    loop {
        look_into_all();
        if let Some(naptime) = worker::naptime() {
            nap(naptime);
        }
        worker::reload();
    }
}

fn look_into_all() {
    // What the server keeps of each visitor goes with it.
    let memory = Memory::alone();
    let databases = databases();
    memory.switch();
    for database in databases {
        let visitor = Order {
            database,
            role: Oid::INVALID,
            task: Task::Visit,
            after: 0,
        };
        visitor.start_and_wait(LONGEST_VISIT);
    }
}

/// Naps, however often something else than a change of the configuration wakes the process.
fn nap(naptime: Duration) {
    let until = Instant::now() + naptime;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // SAFETY: reads a backend variable.
        if left.is_zero() || unsafe { pg_sys::ConfigReloadPending } != 0 {
            return;
        }
        client::sleep(left);
        // What others have told of their changes meanwhile is taken note of, lest their queue waits for this process.
        let _told = worker::in_transaction(|| Ok(()));
    }
}

/// The databases that may be looked into: no templates, none that lets nobody in or is half dropped.
fn databases() -> Vec<Oid> {
    let mut found = Vec::new();
    let _told = worker::in_transaction(|| {
        // SAFETY: pg_database is shared, so it can be read without a database (get_database_list, autovacuum.c); each tuple
        // is one of that catalog and is used before the next one.
        unsafe {
            let share = pg_sys::AccessShareLock as i32;
            let catalog = pg_sys::table_open(pg_sys::DatabaseRelationId, share);
            let scan = pg_sys::systable_beginscan(
                catalog,
                Oid::INVALID,
                false,
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            );
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                let header = (*tuple).t_data;
                let row = header
                    .cast::<u8>()
                    .add((*header).t_hoff as usize)
                    .cast::<pg_sys::FormData_pg_database>();
                let is_half_dropped = (*row).datconnlimit < -1;
                if (*row).datallowconn && !(*row).datistemplate && !is_half_dropped {
                    found.push((*row).oid);
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(catalog, share);
        }
        Ok(())
    });
    found
}
