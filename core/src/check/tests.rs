mod late;
mod scratch;
mod sides;

use super::*;

type Files = Vec<(String, String)>;

/// The content differs from name to name, so that none looks like a rename of another.
fn files(names: &[&str]) -> Files {
    let file = |name: &&str| (format!("{name}.sql"), format!("SELECT '{name}'"));
    names.iter().map(file).collect()
}

fn texts(files: &[(&str, &str)]) -> Files {
    let owned = |(path, content): &(&str, &str)| ((*path).to_owned(), (*content).to_owned());
    files.iter().map(owned).collect()
}

fn sources(files: &Files) -> Vec<SourceFile<'_>> {
    files
        .iter()
        .map(|(path, content)| SourceFile {
            path,
            content: content.as_bytes(),
        })
        .collect()
}

/// Name, problem and suggested name of each finding.
fn rows(findings: &[Finding]) -> Vec<(&str, Problem, Option<&str>)> {
    findings
        .iter()
        .map(|found| {
            (
                found.name.as_str(),
                found.problem,
                found.suggested_name.as_deref(),
            )
        })
        .collect()
}

fn check(base: &Files, head: &Files) -> Result<Vec<Finding>, CheckError> {
    let comparison = Comparison {
        base: &sources(base),
        head: &sources(head),
        ..Comparison::default()
    };
    comparison.findings()
}

fn check_names(base: &[&str], head: &[&str]) -> Vec<Finding> {
    check(&files(base), &files(head)).unwrap()
}
