//! What a statement waited for when it did not get a lock in time.
//!
//! The error of lock_timeout names neither relation nor holder, and is raised after the server has
//! taken the session off the lock's queue. Its log message "still waiting for ..." is reported while
//! the session is in the queue: log_lock_waits makes it come, deadlock_timeout says when, and
//! [`note`] is called from the error context callback of [`super::error::catch`].
//! Not seen where log_min_messages keeps messages of level LOG out of the log.

use std::cell::Cell;

use pgrx::pg_sys;

/// A lock that was waited for.
#[derive(Debug, Clone, Copy)]
pub struct Awaited {
    tag: pg_sys::LOCKTAG,
    mode: pg_sys::LOCKMODE,
}

thread_local! {
    static LAST: Cell<Option<Awaited>> = const { Cell::new(None) };
}

/// While it lives, a wait that is about to fail is noted.
pub struct Watch {
    deadlock_timeout: i32,
    log_lock_waits: bool,
}

impl Watch {
    /// Watches the waits under this lock_timeout, in milliseconds; 0: waits that do not fail are not noted.
    pub fn begin(lock_timeout: i32) -> Watch {
        LAST.set(None);
        // SAFETY: backend variables that ProcSleep reads. They are set beside their settings: a
        // level of settings for each migration would cost more than all else that is done for it.
        unsafe {
            let before = Watch {
                deadlock_timeout: pg_sys::DeadlockTimeout,
                log_lock_waits: pg_sys::log_lock_waits,
            };
            if lock_timeout > 0 {
                // Long before the timeout: a session that is given no processor in between would be
                // told of both at once, and of the timeout first.
                let early = (lock_timeout / 5).max(1);
                pg_sys::DeadlockTimeout = before.deadlock_timeout.min(early);
                pg_sys::log_lock_waits = true;
            }
            before
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            pg_sys::DeadlockTimeout = self.deadlock_timeout;
            pg_sys::log_lock_waits = self.log_lock_waits;
        }
    }
}

/// Called for each message of level LOG.
pub fn note() {
    // SAFETY: this backend's own entry. While it waits its fields are its own, and the lock's tag
    // does not change; shared memory stays mapped.
    unsafe {
        let me = pg_sys::MyProc;
        // A wait that ended well is logged as well, and is no longer of interest.
        let waits = !me.is_null() && !(*me).waitLock.is_null();
        LAST.set(waits.then(|| Awaited {
            tag: (*(*me).waitLock).tag,
            mode: (*me).waitLockMode,
        }));
    }
}

/// The last wait that was noted, once.
pub fn take() -> Option<Awaited> {
    LAST.take()
}

/// Where a lock stands in pg_locks; the columns that do not apply are `None`.
#[derive(Debug, Default)]
pub struct Place {
    /// `locktype`
    pub kind: &'static str,
    /// `database`
    pub database: Option<u32>,
    /// `relation`
    pub relation: Option<u32>,
    /// `page`
    pub page: Option<i32>,
    /// `tuple`
    pub tuple: Option<i16>,
    /// `transactionid`
    pub transaction: Option<u32>,
    /// `classid`
    pub class: Option<u32>,
    /// `objid`
    pub object: Option<u32>,
    /// `objsubid`
    pub part: Option<i16>,
}

impl Awaited {
    /// Its mode, as pg_locks writes it.
    pub fn mode(&self) -> &'static str {
        mode_name(self.mode)
    }

    /// The modes that exclude it.
    pub fn conflicting_modes(&self) -> Vec<String> {
        // SAFETY: both are modes of the default lock method.
        (1..=8)
            .filter(|mode| unsafe { pg_sys::DoLockModesConflict(self.mode, *mode) })
            .map(|mode| mode_name(mode).to_owned())
            .collect()
    }

    /// Where to find it (pg_lock_status, lockfuncs.c); `None` for kinds that only last a moment.
    pub fn place(&self) -> Option<Place> {
        use pg_sys::LockTagType as Type;
        let tag = &self.tag;
        let (one, two, three) = (tag.locktag_field1, tag.locktag_field2, tag.locktag_field3);
        Some(match u32::from(tag.locktag_type) {
            Type::LOCKTAG_RELATION => Place {
                kind: "relation",
                database: Some(one),
                relation: Some(two),
                ..Place::default()
            },
            Type::LOCKTAG_TUPLE => Place {
                kind: "tuple",
                database: Some(one),
                relation: Some(two),
                page: i32::try_from(three).ok(),
                tuple: i16::try_from(tag.locktag_field4).ok(),
                ..Place::default()
            },
            Type::LOCKTAG_TRANSACTION => Place {
                kind: "transactionid",
                transaction: Some(one),
                ..Place::default()
            },
            kind @ (Type::LOCKTAG_OBJECT | Type::LOCKTAG_ADVISORY) => Place {
                kind: match kind {
                    Type::LOCKTAG_OBJECT => "object",
                    _ => "advisory",
                },
                database: Some(one),
                class: Some(two),
                object: Some(three),
                part: i16::try_from(tag.locktag_field4).ok(),
                ..Place::default()
            },
            _ => return None,
        })
    }
}

/// lockmodes of lockdefs.h, as pg_locks writes them.
fn mode_name(mode: pg_sys::LOCKMODE) -> &'static str {
    match mode {
        1 => "AccessShareLock",
        2 => "RowShareLock",
        3 => "RowExclusiveLock",
        4 => "ShareUpdateExclusiveLock",
        5 => "ShareLock",
        6 => "ShareRowExclusiveLock",
        7 => "ExclusiveLock",
        8 => "AccessExclusiveLock",
        _ => "an unknown mode",
    }
}
