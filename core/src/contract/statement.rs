//! A pre that runs statement by statement cannot be taken back, so that its statements are judged before any runs.

use super::base::Base;
use super::change::{Change, Found};
use super::rule::{Applies, Rule};
use super::violation::Violation;
use crate::snapshot::Kind;

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "non-transactional-pre",
    applies: Applies::Alone,
    what: "a pre that runs outside a transaction holds more than concurrent builds and drops of indexes that are not unique, and VALIDATE",
    instead: "put the statement into a pre that runs in a transaction",
    judge: of_statements,
}];

/// What a statement of such a pre does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alone {
    /// Builds or drops an index that is not unique, validates a constraint, or sets a parameter.
    Harmless,
    /// Builds a unique index on the table.
    BuildsUnique {
        /// The table, as a snapshot names it; `None`: it is not there yet.
        table: Option<String>,
    },
    /// Drops a unique index.
    DropsUnique {
        /// The index, as a snapshot names it.
        index: String,
    },
    /// Anything else.
    Other,
}

/// Its statements are judged by [`judge_alone`]; there is nothing in the snapshots.
fn of_statements(_: &Change<'_>, _: &mut Found) {}

/// What the statements of a pre that runs outside a transaction do against the contract.
#[must_use]
pub fn judge_alone(statements: &[Alone], base: &Base) -> Vec<Violation> {
    let judged = statements.iter().zip(1..);
    judged
        .filter_map(|(statement, number): (_, usize)| one(statement, number, base))
        .collect()
}

fn one(statement: &Alone, number: usize, base: &Base) -> Option<Violation> {
    let violation = |rule, kind, object: &str, detail: &str| {
        Some(Violation {
            rule,
            kind,
            object: object.to_owned(),
            detail: detail.to_owned(),
        })
    };
    match statement {
        Alone::Harmless => None,
        Alone::BuildsUnique { table } => {
            let table = table
                .as_ref()
                .filter(|table| base.has(Kind::Table, table))?;
            violation(
                "add-unique",
                Some(Kind::Table),
                table,
                "gets a unique index",
            )
        }
        Alone::DropsUnique { index } if base.has(Kind::Index, index) => {
            violation("drop-unique", Some(Kind::Index), index, "dropped")
        }
        Alone::DropsUnique { .. } => None,
        Alone::Other => violation(
            "non-transactional-pre",
            None,
            &format!("statement {number}"),
            "runs outside a transaction, so it cannot be taken back",
        ),
    }
}
