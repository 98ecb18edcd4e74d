//! Settings of the extension, one accessor each.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static LOCK_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5_000);
static LOCK_RETRIES: GucSetting<i32> = GucSetting::<i32>::new(5);
static STATEMENT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(0);
static FOOTPRINTS: GucSetting<bool> = GucSetting::<bool>::new(true);
static NOTIFY: GucSetting<bool> = GucSetting::<bool>::new(true);

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
