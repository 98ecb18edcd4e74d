//! What was found, for a reader and for a shell.

use std::path::Path;

use belay_core::check::Finding;
use belay_core::layout::renames;

use crate::directory::Files;

const TITLES: [&str; 4] = ["name", "problem", "suggested name", "detail"];

/// A table with a line for each.
pub fn table(findings: &[Finding]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(findings.iter().map(|found| {
        [
            found.name.clone(),
            found.problem.to_string(),
            found.suggested_name.clone().unwrap_or_default(),
            found.detail.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 4] = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The commands that give the late ones their new names; empty where there are none.
pub fn commands(findings: &[Finding], head: &Files, directory: &Path) -> String {
    let mut text = String::new();
    for found in findings {
        let Some(new) = &found.suggested_name else {
            continue;
        };
        for (from, to) in renames(head.paths(), &found.name, new) {
            let quoted = |path: &str| quote(&directory.join(path).display().to_string());
            text.push_str(&format!("git mv {} {}\n", quoted(&from), quoted(&to)));
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\n{text}"),
    }
}

/// A word of a shell's, quoted where it has to be.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        true => word.to_owned(),
        false if word.starts_with('-') => quote(&format!("./{word}")),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
