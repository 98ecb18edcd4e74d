//! What the engine has just written itself need not be looked up again.

use std::cell::Cell;

use super::Applied;

/// The step that the engine has just written for the row it is about to add: what that row says of
/// itself need not be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The step.
    pub step: i64,
    /// Its migration, whose place is in the row.
    pub migration: i64,
    /// Its run.
    pub run: i64,
}

thread_local! {
    static MADE: Cell<Option<Made>> = const { Cell::new(None) };
}

/// Also when an error takes us out.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        MADE.set(None);
    }
}

impl Made {
    /// Adds the row by `insert`.
    pub fn by_step<T>(self, insert: impl FnOnce() -> T) -> T {
        MADE.set(Some(self));
        let _forget = Forget;
        insert()
    }

    /// The run, when the row is the one of the step just written.
    pub(super) fn just_now(applied: &Applied) -> Option<i64> {
        let made = MADE.take()?;
        (made.step == applied.step && made.migration == applied.migration).then_some(made.run)
    }
}
