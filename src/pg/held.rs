//! The locks on relations and other objects that this transaction holds.

use pgrx::pg_sys::{self, Oid};

use super::object::Object;

/// A lock, in all the modes in which it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What is locked.
    pub object: Object,
    /// One bit a lock mode.
    modes: i32,
}

impl Held {
    /// Whether it is held in that mode (`AccessShareLock` and so on).
    pub fn in_mode(&self, mode: u32) -> bool {
        self.modes & (1 << mode) != 0
    }

    /// Whether it is held in a mode of that strength or above.
    pub fn at_least(&self, mode: u32) -> bool {
        self.modes >> mode != 0
    }
}

/// What this session holds in this database, and of what all databases share.
///
/// Source: pg_lock_status (lockfuncs.c), which shows the same list.
pub fn held() -> Vec<Held> {
    // SAFETY: GetLockStatusData copies the shared state into memory of ours; its array has
    // `nelements` members.
    unsafe {
        let data = pg_sys::GetLockStatusData();
        let locks = std::slice::from_raw_parts(
            (*data).locks,
            usize::try_from((*data).nelements).unwrap_or(0),
        );
        let own = pg_sys::MyProcPid;
        locks
            .iter()
            .filter(|lock| lock.pid == own && lock.holdMask != 0)
            .filter_map(|lock| {
                let object = object_of(&lock.locktag)?;
                let modes = lock.holdMask;
                Some(Held { object, modes })
            })
            .collect()
    }
}

fn object_of(tag: &pg_sys::LOCKTAG) -> Option<Object> {
    // SAFETY: set in every session of a database.
    let here = unsafe { pg_sys::MyDatabaseId }.to_u32();
    if tag.locktag_field1 != here && tag.locktag_field1 != 0 {
        return None;
    }
    match u32::from(tag.locktag_type) {
        pg_sys::LockTagType::LOCKTAG_RELATION => {
            Some(Object::relation(Oid::from(tag.locktag_field2)))
        }
        pg_sys::LockTagType::LOCKTAG_OBJECT => Some(Object {
            class: Oid::from(tag.locktag_field2),
            id: Oid::from(tag.locktag_field3),
        }),
        _ => None,
    }
}
