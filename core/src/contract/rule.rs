//! The table of all rules.

use super::change::{Change, Found};
use super::{post, pre, statement, versioned};

/// Where a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// In pre.
    Pre,
    /// In post.
    Post,
    /// In both, for the kinds of objects that the project gives versions.
    Versioned,
    /// In a pre that runs statement by statement, before anything of it runs.
    Alone,
}

/// One thing that a phase may not do.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The word for it, in errors and in waivers.
    pub id: &'static str,
    /// Where it holds.
    pub applies: Applies,
    /// What is refused.
    pub what: &'static str,
    /// What to do instead.
    pub instead: &'static str,
    pub(super) judge: fn(&Change<'_>, &mut Found),
}

/// All rules, in the order in which they are told.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        &pre::RULES[..],
        &statement::RULES,
        &post::RULES,
        &versioned::RULES,
    ]
    .into_iter()
    .flatten()
}

/// The rule of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

/// The rules whose ids resemble a word, the nearest first; all of them where none does.
#[must_use]
pub fn near(word: &str) -> Vec<&'static str> {
    const MISTYPED: usize = 3;
    let parts: Vec<&str> = word
        .split(['-', '_'])
        .filter(|part| part.len() > 2)
        .collect();
    let mut found: Vec<(usize, &'static str)> = rules()
        .map(|rule| (distance(word, rule.id), rule.id))
        .filter(|(distance, id)| {
            *distance <= MISTYPED || id.split('-').any(|part| parts.contains(&part))
        })
        .collect();
    found.sort_unstable();
    match found.is_empty() {
        true => rules().map(|rule| rule.id).collect(),
        false => found.into_iter().map(|(_, id)| id).collect(),
    }
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
