//! Settings of jobs.

use std::ffi::CString;
use std::time::Duration;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static MAX_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(4);
static NAPTIME: GucSetting<i32> = GucSetting::<i32>::new(60);
static SLOT_WAL: GucSetting<i32> = GucSetting::<i32>::new(-1);
static ACTIVE_SESSIONS: GucSetting<i32> = GucSetting::<i32>::new(-1);
static AUTOVACUUM_YIELDS: GucSetting<bool> = GucSetting::<bool>::new(true);
static AUTO_ROLLBACK: GucSetting<bool> = GucSetting::<bool>::new(true);
static AUTO_CONTINUE: GucSetting<bool> = GucSetting::<bool>::new(true);
static ALLOW_SUPERUSER: GucSetting<bool> = GucSetting::<bool>::new(false);
static IGNORE_WINDOWS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// The most workers that a database may be given.
const MOST_WORKERS: i32 = 1_000;

/// Registers them.
pub fn register() {
    register_workers();
    register_waits();
    register_rules();
}

fn register_workers() {
    GucRegistry::define_int_guc(
        c"belay.max_workers",
        c"Workers of jobs in a database at most.",
        c"Each takes a place of max_worker_processes.",
        &MAX_WORKERS,
        0,
        MOST_WORKERS,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"belay.naptime",
        c"How often the launcher looks into each database.",
        c"It is there with shared_preload_libraries = 'pg_belay'.",
        &NAPTIME,
        1,
        i32::MAX / 1_000,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
}

fn register_waits() {
    let number = |name, what, more, setting: &'static GucSetting<i32>, flags| {
        let userset = GucContext::Userset;
        GucRegistry::define_int_guc(name, what, more, setting, -1, i32::MAX, userset, flags);
    };
    number(
        c"belay.slot_wal",
        c"A job waits while a replication slot holds back more WAL.",
        c"-1 does not wait.",
        &SLOT_WAL,
        GucFlags::UNIT_MB,
    );
    number(
        c"belay.active_sessions",
        c"A job waits while more other sessions of its database are active.",
        c"-1 does not wait.",
        &ACTIVE_SESSIONS,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"belay.autovacuum_yields",
        c"A job waits while autovacuum is at its table.",
        c"Off, it goes on beside it.",
        &AUTOVACUUM_YIELDS,
        GucContext::Userset,
        GucFlags::default(),
    );
}

fn register_rules() {
    let switch = |name, what, more, setting: &'static GucSetting<bool>, context| {
        GucRegistry::define_bool_guc(name, what, more, setting, context, GucFlags::default());
    };
    switch(
        c"belay.job_auto_rollback",
        c"A job whose operation has failed is rolled back by itself.",
        c"Off, it stays errored with what is done.",
        &AUTO_ROLLBACK,
        GucContext::Userset,
    );
    switch(
        c"belay.job_auto_continue",
        c"A job that a crash or restart has interrupted goes on by itself.",
        c"Off, it is errored.",
        &AUTO_CONTINUE,
        GucContext::Suset,
    );
    switch(
        c"belay.allow_superuser_jobs",
        c"Superusers may register jobs.",
        c"What a job runs, it runs with the rights of its registrant.",
        &ALLOW_SUPERUSER,
        GucContext::Suset,
    );
    GucRegistry::define_string_guc(
        c"belay.ignore_release_windows",
        c"Projects whose jobs may start under any release.",
        c"Names with commas between them; for copies of a database that developers use.",
        &IGNORE_WINDOWS,
        GucContext::Suset,
        GucFlags::default(),
    );
}

/// Workers of this database at most.
pub fn max_workers() -> i32 {
    MAX_WORKERS.get()
}

/// Between two looks of the launcher.
pub fn naptime() -> Duration {
    Duration::from_secs(u64::try_from(NAPTIME.get()).unwrap_or(60))
}

/// How many MB of WAL a replication slot may hold back; `None`: nobody looks.
pub fn slot_wal() -> Option<i64> {
    (SLOT_WAL.get() >= 0).then(|| i64::from(SLOT_WAL.get()))
}

/// How many other sessions may be active; `None`: nobody looks.
pub fn active_sessions() -> Option<i64> {
    (ACTIVE_SESSIONS.get() >= 0).then(|| i64::from(ACTIVE_SESSIONS.get()))
}

/// Whether batches wait for autovacuum.
pub fn autovacuum_yields() -> bool {
    AUTOVACUUM_YIELDS.get()
}

/// Whether what has failed is rolled back by itself.
pub fn auto_rollback() -> bool {
    AUTO_ROLLBACK.get()
}

/// Whether what was interrupted goes on by itself.
pub fn auto_continue() -> bool {
    AUTO_CONTINUE.get()
}

/// Whether superusers may register jobs.
pub fn allow_superuser() -> bool {
    ALLOW_SUPERUSER.get()
}

/// Whether the release windows of a project do not count.
pub fn ignores_windows(project: &str) -> bool {
    let projects = IGNORE_WINDOWS.get();
    let projects = projects.as_ref().and_then(|text| text.to_str().ok());
    projects.is_some_and(|text| text.split(',').any(|name| name.trim() == project))
}
