//! The advisory lock of a project: two int4 keys, so that it is recognisable in pg_locks.

use pgrx::{IntoDatum, direct_function_call, pg_sys};

use super::{cancel, compat};

/// First key of every lock of Belay's; `classid` in pg_locks. ASCII "blay".
pub const CLASS: i32 = 0x626c_6179;

/// First key of the lock of whoever changes the columns of a table; the second is the table's oid. ASCII "blco".
pub const COLUMNS_CLASS: i32 = 0x626c_636f;

/// First key of the lock of whoever runs a backfill; the second is the backfill's number. ASCII "blbf".
pub const BACKFILL_CLASS: i32 = 0x626c_6266;

/// First key of the lock of whoever adds an index to a partitioned table; the second is the table's oid. ASCII "blix".
pub const INDEX_CLASS: i32 = 0x626c_6978;

/// First key of the lock of whoever works on a job; the second is the job's number. ASCII "bljb".
pub const JOB_CLASS: i32 = 0x626c_6a62;

/// First key of the lock of a worker of jobs; the second is its place among those of the database, from 1. ASCII "blwk".
pub const WORKER_CLASS: i32 = 0x626c_776b;

/// First key of the lock of the job that goes through a table; the second is the table's oid. ASCII "bljt".
pub const JOB_TABLE_CLASS: i32 = 0x626c_6a74;

/// First key of the lock of the worker of a run; the second is the run's number. ASCII "blrn".
pub const RUN_CLASS: i32 = 0x626c_726e;

/// Takes a lock for the session if nobody holds it, this session included; never waits.
pub fn try_hold(class: i32, key: u32) -> bool {
    let key = key as i32;
    // Two calls of one session would both get it, and the first release would leave the other without.
    if is_held_in(class, key) {
        return false;
    }
    let keys = [class.into_datum(), key.into_datum()];
    // SAFETY: a built-in function of (int4, int4) that returns a boolean.
    unsafe { direct_function_call::<bool>(pg_sys::pg_try_advisory_lock_int4, &keys) }
        .unwrap_or(false)
}

/// Releases what [`try_hold`] took.
pub fn release(class: i32, key: u32) {
    let key = key as i32;
    let keys = [class.into_datum(), key.into_datum()];
    if is_held_in(class, key) {
        // SAFETY: as above.
        unsafe { direct_function_call::<bool>(pg_sys::pg_advisory_unlock_int4, &keys) };
    }
}

/// How long a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Until it is released: a run that commits.
    Session,
    /// Until the transaction ends: a run in the caller's own.
    Transaction,
}

/// Takes the project's lock if nobody holds it; never waits.
pub fn try_lock(project: i32, scope: Scope) -> bool {
    let keys = [CLASS.into_datum(), project.into_datum()];
    // SAFETY: built-in functions of (int4, int4) that return a boolean.
    unsafe {
        match scope {
            Scope::Session => {
                direct_function_call::<bool>(pg_sys::pg_try_advisory_lock_int4, &keys)
            }
            Scope::Transaction => {
                direct_function_call::<bool>(pg_sys::pg_try_advisory_xact_lock_int4, &keys)
            }
        }
    }
    .unwrap_or(false)
}

/// A table's ShareUpdateExclusive lock, held by the session until this is dropped. An error
/// releases it with the transaction.
pub struct HeldTable(pg_sys::LockRelId);

/// Takes the lock that concurrent statements take, as long as lock_timeout allows.
pub fn hold_table(table: pg_sys::Oid) -> HeldTable {
    // SAFETY: MyDatabaseId is set in every session of a database; a transaction is open.
    cancel::allow(|| unsafe {
        let mut id = pg_sys::LockRelId {
            relId: table,
            dbId: pg_sys::MyDatabaseId,
        };
        let mode = pg_sys::ShareUpdateExclusiveLock as i32;
        pg_sys::LockRelationOid(table, mode);
        pg_sys::LockRelationIdForSession(&mut id, mode);
        HeldTable(id)
    })
}

impl Drop for HeldTable {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mode = pg_sys::ShareUpdateExclusiveLock as i32;
        // SAFETY: the id that was locked; a lock that has gone with its transaction is not released again.
        unsafe {
            if compat::lock_held_by_me(&table_tag(self.0.relId), mode) {
                pg_sys::UnlockRelationIdForSession(&mut self.0, mode);
            }
        }
    }
}

/// The tag of a table of this database.
fn table_tag(table: pg_sys::Oid) -> pg_sys::LOCKTAG {
    // SAFETY: a zeroed LOCKTAG is valid; the fields are those of SET_LOCKTAG_RELATION (lock.h).
    unsafe {
        let mut tag: pg_sys::LOCKTAG = std::mem::zeroed();
        tag.locktag_field1 = pg_sys::MyDatabaseId.to_u32();
        tag.locktag_field2 = table.to_u32();
        tag.locktag_type = pg_sys::LockTagType::LOCKTAG_RELATION as u8;
        tag.locktag_lockmethodid = pg_sys::DEFAULT_LOCKMETHOD as u8;
        tag
    }
}

/// Whether this transaction holds a table lock that only DDL takes (ShareUpdateExclusive and
/// stronger).
pub fn is_locked_for_ddl(table: pg_sys::Oid) -> bool {
    let tag = table_tag(table);
    // SAFETY: the tag is valid.
    unsafe {
        (pg_sys::ShareUpdateExclusiveLock..=pg_sys::AccessExclusiveLock)
            .any(|mode| compat::lock_held_by_me(&tag, mode as i32))
    }
}

/// Whether nobody held the project's lock just now.
pub fn is_free(project: i32) -> bool {
    let keys = [CLASS.into_datum(), project.into_datum()];
    // SAFETY: as above; the shared lock is given back at once.
    unsafe {
        let free = direct_function_call::<bool>(pg_sys::pg_try_advisory_lock_shared_int4, &keys)
            .unwrap_or(false);
        if free {
            direct_function_call::<bool>(pg_sys::pg_advisory_unlock_shared_int4, &keys);
        }
        free
    }
}

/// Releases the session's lock, as often as it is held: a migration may have taken it once more.
pub fn unlock(project: i32) {
    let keys = [CLASS.into_datum(), project.into_datum()];
    // SAFETY: as above. It returns false for a lock that only the transaction holds.
    while is_held(project)
        && unsafe { direct_function_call::<bool>(pg_sys::pg_advisory_unlock_int4, &keys) }
            .unwrap_or(false)
    {}
}

/// Whether this session holds the project's lock.
pub fn is_held(project: i32) -> bool {
    is_held_in(CLASS, project)
}

fn is_held_in(class: i32, key: i32) -> bool {
    // SAFETY: a zeroed LOCKTAG is valid; the fields are those of SET_LOCKTAG_ADVISORY
    // (lock.h) for two int4 keys, whose fourth field is 2.
    unsafe {
        let mut tag: pg_sys::LOCKTAG = std::mem::zeroed();
        tag.locktag_field1 = pg_sys::MyDatabaseId.to_u32();
        tag.locktag_field2 = class as u32;
        tag.locktag_field3 = key as u32;
        tag.locktag_field4 = 2;
        tag.locktag_type = pg_sys::LockTagType::LOCKTAG_ADVISORY as u8;
        tag.locktag_lockmethodid = pg_sys::USER_LOCKMETHOD as u8;
        compat::lock_held_by_me(&tag, pg_sys::ExclusiveLock as i32)
    }
}
