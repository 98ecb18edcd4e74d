//! From two snapshots to what the rules say.

use super::base::Base;
use super::change::{Change, Found};
use super::name;
use super::rule::{Applies, rules};
use super::violation::Violation;
use crate::naming::Phase;
use crate::snapshot::{Kind, Snapshot};

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The schema before the migration.
    pub before: &'a Snapshot,
    /// The schema after it.
    pub after: &'a Snapshot,
    /// What was there when the release began.
    pub base: &'a Base,
    /// Which phase the migration belongs to.
    pub phase: Phase,
    /// Kinds of objects that carry versions: `function`, `trigger`, `type`.
    pub versioned: &'a [String],
}

/// What a migration did against the contract of its phase.
#[must_use]
pub fn judge(judged: &Judged<'_>) -> Vec<Violation> {
    let change = Change::new(judged);
    let mut found = Found::default();
    for rule in rules() {
        let holds = match rule.applies {
            Applies::Pre => judged.phase == Phase::Pre,
            Applies::Post => judged.phase == Phase::Post,
            Applies::Versioned => !judged.versioned.is_empty(),
            Applies::Alone => false,
        };
        if holds {
            found.rule = rule.id;
            (rule.judge)(&change, &mut found);
        }
    }
    without_echoes(found.violations, judged.after)
}

/// What happens to a partitioned table happens to its partitions; it is told once.
fn without_echoes(violations: Vec<Violation>, after: &Snapshot) -> Vec<Violation> {
    let is_echo = |violation: &Violation| {
        let Some(table) = name::parent(&violation.object) else {
            return false;
        };
        let parent = after
            .get(Kind::Table, table)
            .and_then(|table| table.get("partition_of"))
            .and_then(|parent| parent.as_str());
        parent.is_some_and(|parent| {
            violations.iter().any(|other| {
                (other.rule, other.kind, &other.detail)
                    == (violation.rule, violation.kind, &violation.detail)
                    && name::parent(&other.object) == Some(parent)
            })
        })
    };
    let echoes: Vec<bool> = violations.iter().map(is_echo).collect();
    let kept = violations.into_iter().zip(echoes);
    kept.filter(|(_, echo)| !echo)
        .map(|(violation, _)| violation)
        .collect()
}
