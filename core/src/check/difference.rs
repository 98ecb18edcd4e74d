//! What base has and head has changed or lost.

use super::set::{Held, Set};
use super::{Finding, Problem};
use crate::checksum::Checksum;

pub(super) fn find(base: &Set, head: &Set) -> Vec<Finding> {
    base.held
        .iter()
        .filter_map(|one| match head.find(&one.definition.name) {
            Some(same) if same.checksum == one.checksum => None,
            Some(other) => Some(finding(one, Problem::Changed, changed(one, other))),
            None => Some(finding(one, Problem::Missing, lost(one, base, head))),
        })
        .collect()
}

fn finding(one: &Held, problem: Problem, detail: String) -> Finding {
    Finding {
        name: one.definition.name.clone(),
        problem,
        detail,
        suggested_name: None,
    }
}

/// Which of the texts differ.
fn changed(one: &Held, other: &Held) -> String {
    let up = |held: &Held| Checksum::of(&held.definition.up, None).ok();
    let down = |held: &Held| {
        let text = held.definition.down.as_deref();
        text.and_then(|text| Checksum::of(text, None).ok())
    };
    let (old, new) = (down(one), down(other));
    let down = match (old, new) {
        (None, Some(_)) => Some("head adds a down"),
        (Some(_), None) => Some("head has no down"),
        _ => (old != new).then_some("the down differs from that of base"),
    };
    match (up(one) != up(other), down) {
        (true, None) => "the up differs from that of base".to_owned(),
        (false, Some(down)) => down.to_owned(),
        (true, Some(down)) => format!("the up differs from that of base, {down}"),
        (false, None) => "its checksum differs from that of base".to_owned(),
    }
}

fn lost(one: &Held, base: &Set, head: &Set) -> String {
    let renamed = head.beside(base).find(|new| new.checksum == one.checksum);
    match renamed {
        Some(new) => format!("renamed to \"{}\"", new.definition.name),
        None => "base has it, head does not".to_owned(),
    }
}
