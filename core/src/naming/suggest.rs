//! A name for a migration that came too late: the next free one that sorts after the newest.
//!
//! The new name looks like the newest one and says what the late one said. Each candidate is judged by the
//! comparator itself, so that a look that this module misreads costs a nicer name, never a wrong one.
//! Not guaranteed: that there is one. Numbers end, and names have a greatest length.

mod calendar;
mod candidates;
mod head;
mod number;

#[cfg(test)]
mod tests;

use semver::Version;

use super::Naming;
use crate::name::check_name;

/// How many candidates are looked at; more names in a row are not taken in practice.
const ATTEMPTS: usize = 1_000;

impl Naming {
    /// The next free name for `late` that sorts after `newest`, the last of all that are registered.
    ///
    /// It has the head of `newest` with its last number incremented, at the same width, and the description
    /// of `late`. A date or a timestamp goes on by a day or a second. In [`Naming::Release`] it is the next
    /// number of `newest`'s release, or of `release`, and the phase is that of `late`.
    ///
    /// ```
    /// # use belay_core::naming::Naming;
    /// let taken = ["0001_users", "0002_mail", "0003_orders"];
    /// let name = Naming::Natural.next_free_name("0002_mail", "0003_orders", None, |name| taken.contains(&name));
    /// assert_eq!(name.as_deref(), Some("0004_mail"));
    /// ```
    ///
    /// `None` where `newest` has no place in this naming, where `release` sorts before its release, or where
    /// no candidate is a name, is free and sorts after it.
    pub fn next_free_name(
        self,
        late: &str,
        newest: &str,
        release: Option<&Version>,
        is_taken: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let after = self.sort_key(newest).ok()?;
        // A project whose naming was declared may hold names that another one would refuse.
        let exempt = self.check(late).is_err();
        let passes = |name: &str| match exempt {
            true => check_name(name).is_ok(),
            false => self.check_new(name).is_ok(),
        };
        let suits = |name: &String| {
            passes(name) && self.sort_key(name).is_ok_and(|key| key > after) && !is_taken(name)
        };
        match self {
            Naming::Natural => candidates::natural(late, newest).find(suits),
            Naming::Release => candidates::release(late, newest, release)?
                .take(ATTEMPTS)
                .find(suits),
            Naming::Diesel => candidates::diesel(late, newest).find(suits),
        }
    }
}
