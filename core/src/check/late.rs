//! What is new in head and comes too late, and the names with which it would not.

use std::collections::HashSet;

use super::scratch::ScratchRun;
use super::set::{Held, Set};
use super::{Comparison, Finding, Problem};
use crate::naming::Naming;

pub(super) fn find(
    comparison: &Comparison<'_>,
    naming: Naming,
    base: &Set,
    head: &Set,
) -> Vec<Finding> {
    let Some(newest) = base.last() else {
        return Vec::new();
    };
    let is_late = |one: &&Held| *one < newest;
    let late: Vec<(&Held, Option<String>)> = head
        .beside(base)
        .filter(is_late)
        .filter_map(|one| match comparison.scratch {
            None => Some((one, None)),
            Some(scratch) => meets(one, base, scratch).map(|where_| (one, Some(where_))),
        })
        .collect();
    let names: Vec<&str> = late.iter().map(|(one, _)| name(one)).collect();
    let suggested = Suggestions::new(comparison, naming, (base, head), newest).of(&names, newest);
    late.iter()
        .zip(suggested.names)
        .map(|((one, meeting), suggested_name)| {
            let mut detail = format!("sorts before \"{}\", the newest of base", name(newest));
            let notes = [meeting, &named_by(one, head), &suggested.note];
            for note in notes.into_iter().flatten() {
                detail.push_str("; ");
                detail.push_str(note);
            }
            Finding {
                name: name(one).to_owned(),
                problem: Problem::Late,
                detail,
                suggested_name,
            }
        })
        .collect()
}

fn name(held: &Held) -> &str {
    &held.definition.name
}

/// Why the order of a late one and of what base has after it matters; `None`: it does not.
fn meets(late: &Held, base: &Set, scratch: &ScratchRun) -> Option<String> {
    let own_name = name(late);
    if late.definition.directives.transaction == Some(false)
        || scratch.ran_without_transaction(own_name)
    {
        return Some(
            "it runs without a transaction, so that it cannot be tried and taken back".to_owned(),
        );
    }
    let unknown = |name: &str| format!("no footprint of \"{name}\" is known");
    let Some(own) = scratch.footprint(own_name) else {
        return Some(unknown(own_name));
    };
    let after = base.held.iter().filter(|one| *one > late);
    after
        .map(name)
        .find_map(|other| match scratch.footprint(other) {
            None => Some(unknown(other)),
            Some(footprint) => {
                let meeting = own.meets(footprint)?;
                Some(meeting.describe(own_name, other))
            }
        })
}

/// A new name has to be known where the old one is.
fn named_by(late: &Held, head: &Set) -> Option<String> {
    let names_it = |one: &&Held| {
        let said = &one.definition.directives;
        said.requires.iter().any(|required| required == name(late))
            || said
                .pairs_with
                .as_ref()
                .is_some_and(|pair| pair.name == name(late))
    };
    let other = head.held.iter().find(names_it)?;
    Some(format!("\"{}\" names it in a directive", name(other)))
}

/// Where new names come from.
struct Suggestions<'a> {
    comparison: &'a Comparison<'a>,
    naming: Naming,
    /// The newest of base and head.
    last: &'a Held,
    /// The first that is new and not late.
    on_time: Option<&'a Held>,
    names: HashSet<&'a str>,
    numbers: HashSet<String>,
}

/// New names for the late ones, in their order.
struct Suggested {
    names: Vec<Option<String>>,
    /// What there is to know about them.
    note: Option<String>,
}

impl<'a> Suggestions<'a> {
    fn new(
        comparison: &'a Comparison<'a>,
        naming: Naming,
        (base, head): (&'a Set, &'a Set),
        newest: &'a Held,
    ) -> Suggestions<'a> {
        let held = || base.held.iter().chain(&head.held).map(name);
        Suggestions {
            comparison,
            naming,
            last: head.last().map_or(newest, |last| last.max(newest)),
            on_time: head.beside(base).find(|one| *one > newest),
            names: held().collect(),
            numbers: held().filter_map(|name| naming.number(name)).collect(),
        }
    }

    /// Consecutive names: between base and what else is new, so that the order of all that is new stays as
    /// it is; where there is no room, after everything.
    fn of(&self, late: &[&str], newest: &Held) -> Suggested {
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
            .next_free_name(late, after, self.comparison.release, is_taken)
    }
}
