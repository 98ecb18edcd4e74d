//! New names for the late ones, in their order, such that none of them is late any more.

use std::collections::HashSet;

use semver::Version;

use super::set::{Held, Set, name};
use crate::naming::Naming;

/// Where new names come from.
pub(super) struct Suggestions<'a> {
    release: Option<&'a Version>,
    naming: Naming,
    /// The newest of base and head.
    last: &'a Held,
    /// The first that is new and not late.
    on_time: Option<&'a Held>,
    names: HashSet<&'a str>,
    numbers: HashSet<String>,
}

/// New names for the late ones, in their order.
pub(super) struct Suggested {
    pub(super) names: Vec<Option<String>>,
    /// What there is to know about them.
    pub(super) note: Option<String>,
}

impl<'a> Suggestions<'a> {
    pub(super) fn new(
        release: Option<&'a Version>,
        naming: Naming,
        (base, head): (&'a Set, &'a Set),
        newest: &'a Held,
    ) -> Suggestions<'a> {
        let held = || base.held.iter().chain(&head.held).map(name);
        Suggestions {
            release,
            naming,
            last: head.last().map_or(newest, |last| last.max(newest)),
            on_time: head.beside(base).find(|one| *one > newest),
            names: held().collect(),
            numbers: held().filter_map(|name| naming.number(name)).collect(),
        }
    }

    /// Consecutive names: between base and what else is new, so that the order of all that is new stays as
    /// it is; where there is no room, after everything.
    pub(super) fn of(&self, late: &[&str], newest: &Held) -> Suggested {
        let between = self
            .on_time
            .and_then(|on_time| self.between(late, newest, on_time));
        if let Some(names) = between {
            return Suggested {
                names: names.into_iter().map(Some).collect(),
                note: None,
            };
        }
        let note = |on_time: &Held| {
            format!(
                "\"{}\" is new, too, and would then come first: rename it as well if it builds on this one",
                name(on_time)
            )
        };
        Suggested {
            names: self.behind(late, name(self.last)),
            note: self.on_time.map(note),
        }
    }

    fn between(&self, late: &[&str], newest: &Held, on_time: &Held) -> Option<Vec<String>> {
        let mut found: Vec<String> = Vec::with_capacity(late.len());
        for late in late {
            let after = found.last().map_or(name(newest), String::as_str);
            let next = self.next(late, after)?;
            let key = self.naming.sort_key(&next).ok()?;
            if key >= on_time.key {
                return None;
            }
            found.push(next);
        }
        Some(found)
    }

    fn behind(&self, late: &[&str], last: &str) -> Vec<Option<String>> {
        let mut last = last.to_owned();
        let next = |late: &&str| {
            let next = self.next(late, &last)?;
            last.clone_from(&next);
            Some(next)
        };
        late.iter().map(next).collect()
    }

    /// The next name whose number nobody has.
    fn next(&self, late: &str, after: &str) -> Option<String> {
        let is_taken = |candidate: &str| {
            let number = self.naming.number(candidate);
            self.names.contains(candidate)
                || number.is_some_and(|number| self.numbers.contains(&number))
        };
        self.naming
            .next_free_name(late, after, self.release, is_taken)
    }
}
