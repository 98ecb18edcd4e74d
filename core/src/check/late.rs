//! What is new in head and comes too late, and the names with which it would not.

use super::new_name::Suggestions;
use super::scratch::ScratchRun;
use super::set::{Held, Set, name};
use super::{Comparison, Finding, Problem};
use crate::naming::Naming;

/// A migration that comes too late.
struct Late<'a> {
    held: &'a Held,
    /// Why its order matters, where a scratch run tells.
    meeting: Option<String>,
    /// The name that it has in base. Under another one it would run again where base is applied.
    old_name: Option<&'a str>,
}

pub(super) fn find(
    comparison: &Comparison<'_>,
    naming: Naming,
    base: &Set,
    head: &Set,
) -> Vec<Finding> {
    let Some(newest) = base.last() else {
        return Vec::new();
    };
    let late = all_late(comparison.scratch, base, head, newest);
    let wanted: Vec<&str> = late
        .iter()
        .filter(|late| late.old_name.is_none())
        .map(|late| name(late.held))
        .collect();
    let suggested =
        Suggestions::new(comparison.release, naming, (base, head), newest).of(&wanted, newest);
    let mut new_names = suggested.names.into_iter();
    late.iter()
        .map(|late| Finding {
            name: name(late.held).to_owned(),
            problem: Problem::Late,
            detail: detail(late, head, newest, suggested.note.as_deref()),
            suggested_name: match late.old_name {
                Some(old) => Some(old.to_owned()),
                None => new_names.next().flatten(),
            },
        })
        .collect()
}

fn all_late<'a>(
    scratch: Option<&ScratchRun>,
    base: &'a Set,
    head: &'a Set,
    newest: &Held,
) -> Vec<Late<'a>> {
    let mut found = Vec::new();
    for held in head.beside(base).filter(|one| *one < newest) {
        let meeting = scratch.map(|scratch| meets(held, base, scratch));
        if meeting == Some(None) {
            continue;
        }
        let old = base
            .beside(head)
            .find(|lost| lost.checksum == held.checksum);
        found.push(Late {
            held,
            meeting: meeting.flatten(),
            old_name: old.map(name),
        });
    }
    found
}

fn detail(late: &Late<'_>, head: &Set, newest: &Held, note: Option<&str>) -> String {
    let mut detail = format!("sorts before \"{}\", the newest of base", name(newest));
    let notes = [
        late.old_name.map(|old| format!("it is \"{old}\" of base")),
        late.meeting.clone(),
        named_by(late.held, head),
        note.filter(|_| late.old_name.is_none()).map(str::to_owned),
    ];
    for note in notes.into_iter().flatten() {
        detail.push_str("; ");
        detail.push_str(&note);
    }
    detail
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
