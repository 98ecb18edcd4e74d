//! Whether a run is active in this session: what a migration may not call asks here.

use std::cell::Cell;

use crate::error::{Code, Failure, Result};

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

/// A run is active in this session while this value lives.
pub struct Active;

impl Active {
    /// Refuses (MG012) when a run is active already.
    pub fn enter() -> Result<Active> {
        if ACTIVE.replace(true) {
            return Err(Failure::new(
                Code::Nested,
                "a migration cannot run migrations: a run is active in this session",
                "take the call out of the migration; use \"-- belay: requires NAME\" to order migrations",
            ));
        }
        Ok(Active)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.set(false);
    }
}

/// Refuses what a migration may not call; `what` it would do is for the error.
pub fn refuse_within_run(what: &str) -> Result<()> {
    match ACTIVE.get() {
        false => Ok(()),
        true => Err(Failure::new(
            Code::Nested,
            format!("a migration cannot {what}: a run is active in this session"),
            "take the call out of the migration; call it when no run is active",
        )),
    }
}
