//! Settings of the extension, one accessor each.

pub mod jobs;

use std::time::Duration;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static LOCK_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5_000);
static LOCK_RETRIES: GucSetting<i32> = GucSetting::<i32>::new(5);
static STATEMENT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(0);
static FOOTPRINTS: GucSetting<bool> = GucSetting::<bool>::new(true);
static NOTIFY: GucSetting<bool> = GucSetting::<bool>::new(true);

static BATCH_TIME: GucSetting<i32> = GucSetting::<i32>::new(500);
static BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1_000);
static BATCH_PAUSE: GucSetting<i32> = GucSetting::<i32>::new(10);
static REPLICA_LAG: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static UNARCHIVED_SEGMENTS: GucSetting<i32> = GucSetting::<i32>::new(42);

/// Registers the settings; called once, by `_PG_init`.
pub fn register() {
    GucRegistry::define_int_guc(
        c"belay.lock_timeout",
        c"lock_timeout of the statements of migrations.",
        c"A migration waits at most this long for each lock. 0 is no limit. The directive lock-timeout goes before it. Waits of concurrent index builds are not limited.",
        &LOCK_TIMEOUT,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"belay.lock_retries",
        c"Attempts after the first at a migration that did not get a lock in time.",
        c"Also after a deadlock or a serialization failure. With pauses that double, from a tenth of lock_timeout to twice it. Only where each migration commits by itself. The directive lock-retries goes before it.",
        &LOCK_RETRIES,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"belay.statement_timeout",
        c"statement_timeout of each statement of a migration.",
        c"The caller's statement_timeout does not end a run halfway; this one ends a statement. 0 is no limit.",
        &STATEMENT_TIMEOUT,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_bool_guc(
        c"belay.footprints",
        c"Keep what each migration touched.",
        c"Off, a migration counts as touching everything for whatever arrives late in a project with ordering 'disjoint'.",
        &FOOTPRINTS,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"belay.notify",
        c"Send NOTIFY on channel \"belay\" for each committed step.",
        c"The payload holds names only: project, migration, direction, outcome, run.",
        &NOTIFY,
        GucContext::Userset,
        GucFlags::default(),
    );
    register_batches();
    jobs::register();
}

fn register_batches() {
    let number = |name, what, more, setting: &'static GucSetting<i32>, least, flags| {
        GucRegistry::define_int_guc(
            name,
            what,
            more,
            setting,
            least,
            i32::MAX,
            GucContext::Userset,
            flags,
        );
    };
    number(
        c"belay.batch_time",
        c"How long a batch of a backfill should take.",
        c"The number of rows of the next batch follows from the time that the last one took.",
        &BATCH_TIME,
        1,
        GucFlags::UNIT_MS,
    );
    number(
        c"belay.batch_size",
        c"Rows of the first batch of a backfill.",
        c"The next ones follow belay.batch_time.",
        &BATCH_SIZE,
        1,
        GucFlags::default(),
    );
    number(
        c"belay.batch_pause",
        c"Pause between two batches of a backfill.",
        c"Nothing is held meanwhile.",
        &BATCH_PAUSE,
        0,
        GucFlags::UNIT_MS,
    );
    number(
        c"belay.replica_lag",
        c"A backfill waits while a streaming replica is behind by more.",
        c"By replay_lag of pg_stat_replication. -1 does not wait.",
        &REPLICA_LAG,
        -1,
        GucFlags::UNIT_MS,
    );
    number(
        c"belay.unarchived_segments",
        c"A backfill waits while more segments of WAL wait to be archived.",
        c"Where archive_mode is on. -1 does not wait.",
        &UNARCHIVED_SEGMENTS,
        -1,
        GucFlags::default(),
    );
}

fn milliseconds(setting: &GucSetting<i32>) -> Duration {
    Duration::from_millis(u64::try_from(setting.get()).unwrap_or(0))
}

/// How long a batch should take.
pub fn batch_time() -> Duration {
    milliseconds(&BATCH_TIME)
}

/// Rows of the first batch.
pub fn batch_size() -> i32 {
    BATCH_SIZE.get()
}

/// The pause between two batches.
pub fn batch_pause() -> Duration {
    milliseconds(&BATCH_PAUSE)
}

/// How far a replica may be behind; `None`: nobody looks.
pub fn replica_lag() -> Option<Duration> {
    (REPLICA_LAG.get() >= 0).then(|| milliseconds(&REPLICA_LAG))
}

/// How many segments may wait to be archived; `None`: nobody looks.
pub fn unarchived_segments() -> Option<i64> {
    (UNARCHIVED_SEGMENTS.get() >= 0).then(|| i64::from(UNARCHIVED_SEGMENTS.get()))
}

/// Milliseconds; 0 is no limit.
pub fn lock_timeout() -> i32 {
    LOCK_TIMEOUT.get()
}

/// Attempts after the first.
pub fn lock_retries() -> i32 {
    LOCK_RETRIES.get()
}

/// Milliseconds; 0 is no limit.
pub fn statement_timeout() -> i32 {
    STATEMENT_TIMEOUT.get()
}

/// Whether what a step touched is kept.
pub fn footprints() -> bool {
    FOOTPRINTS.get()
}

/// Whether committed steps are announced.
pub fn notify() -> bool {
    NOTIFY.get()
}
