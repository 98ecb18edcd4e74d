//! All findings in a few words, for those who get one error.

use super::{Finding, Problem};

/// An error's worth of findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How many there are, and the first.
    pub message: String,
    /// All of them, one a line.
    pub detail: String,
    /// What to do.
    pub hint: String,
}

impl Summary {
    /// `None` where nothing was found.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Option<Summary> {
        let first = findings.first()?;
        let told = format!("migration \"{}\" is {}", first.name, first.problem);
        Some(Summary {
            message: match findings.len() {
                1 => format!("head does not follow base: {told}"),
                many => format!("head does not follow base: {many} problems, the first: {told}"),
            },
            detail: findings
                .iter()
                .map(|found| format!("{}: {}, {}", found.name, found.problem, found.detail))
                .collect::<Vec<_>>()
                .join("\n"),
            hint: hint(findings),
        })
    }
}

fn hint(findings: &[Finding]) -> String {
    let renames: Vec<String> = findings
        .iter()
        .filter_map(|found| {
            let new = found.suggested_name.as_ref()?;
            Some(format!("rename \"{}\" to \"{new}\"", found.name))
        })
        .collect();
    let nameless =
        |found: &&Finding| found.problem == Problem::Late && found.suggested_name.is_none();
    let mut actions = Vec::new();
    if !renames.is_empty() {
        actions.push(renames.join(", "));
    }
    if let Some(found) = findings.iter().find(nameless) {
        actions.push(format!(
            "give \"{}\" a name that sorts after the newest",
            found.name
        ));
    }
    let first = |problem| findings.iter().find(move |found| found.problem == problem);
    if let Some(found) = first(Problem::Changed) {
        actions.push(format!(
            "restore \"{}\" as base has it, and change the schema by a new migration",
            found.name
        ));
    }
    if let Some(found) = first(Problem::Missing) {
        actions.push(format!(
            "merge base into head, or restore \"{}\" as base has it",
            found.name
        ));
    }
    actions.join("; ")
}
