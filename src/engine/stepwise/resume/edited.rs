//! A statement that has run must stay in the text as it was; one that did not is shown beside what ran.

use belay_core::checksum::Checksum;
use belay_core::sql::blank_restrict_lines;

use crate::engine::transactional::StepRun;
use crate::error::{Code, Failure, Result};
use crate::ledger::unfinished::Progress;
use crate::pg::parse::{self, Script};

/// How much of a statement is shown, in characters.
const SHOWN: usize = 400;
/// How much of it stands before the place where two long ones part.
const BEFORE: usize = 60;

/// What tells a statement that has run from an edited one.
pub fn checksum(script: &Script, index: usize) -> String {
    let text = script
        .statements
        .get(index)
        .map_or("", |statement| script.statement_text(statement));
    Checksum::of(text, None)
        .map(|sum| sum.to_string())
        .unwrap_or_default()
}

/// Refuses (MG003) a text in which a statement that has run is another one.
pub fn refuse_edited(this: &StepRun<'_>, script: &Script, progress: &Progress) -> Result<()> {
    let edited = progress
        .done
        .iter()
        .enumerate()
        .find(|(i, done)| checksum(script, *i) != **done);
    let Some((index, done)) = edited else {
        return Ok(());
    };
    let number = index + 1;
    let now = script
        .statements
        .get(index)
        .map_or("(no such statement)", |s| script.statement_text(s));
    // Whoever runs the new text may see it; the old one may be somebody else's.
    let detail = match this.ledger.may_read_texts()? {
        true => match ran(this, index, done)? {
            Some(ran) => {
                let (ran, now) = apart(&ran, now);
                format!("statement {number} ran as: {ran}\nstatement {number} is now: {now}")
            }
            None => format!(
                "statement {number} is now: {}\nbelay.definition does not hold what ran",
                apart(now, now).1
            ),
        },
        false => format!(
            "statement {number} is now: {}\nwhat ran is in belay.definition, which this role may not read",
            apart(now, now).1
        ),
    };
    Err(Failure::new(
        Code::Changed,
        format!("migration \"{}\" was edited at statement {number}, which has run already", this.name()),
        "put the statements that ran back as they were (belay.definition holds the text), and edit only what follows",
    )
    .unkept(detail))
}

/// The statement as it ran, from the newest definition that holds it.
fn ran(this: &StepRun<'_>, index: usize, done: &str) -> Result<Option<String>> {
    let (migration, direction) = (this.step.entry.id, this.step.direction);
    for text in this.ledger.texts_that_ran(migration, direction)? {
        let script = parse::parse(&blank_restrict_lines(&text))?;
        if let Some(statement) = script.statements.get(index)
            && checksum(&script, index) == done
        {
            return Ok(Some(script.statement_text(statement).to_owned()));
        }
    }
    Ok(None)
}

/// Two statements, short enough to be read; of long ones what is around the place where they part.
fn apart(one: &str, other: &str) -> (String, String) {
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let long = one.chars().count().max(other.chars().count()) > SHOWN;
    let from = match long && one != other {
        true => same.saturating_sub(BEFORE),
        false => 0,
    };
    (excerpt(one, from), excerpt(other, from))
}

fn excerpt(text: &str, from: usize) -> String {
    let lead = if from > 0 { "…" } else { "" };
    let shown: String = text.chars().skip(from).take(SHOWN).collect();
    let rest = if text.chars().count() > from + SHOWN {
        "…"
    } else {
        ""
    };
    format!("{lead}{shown}{rest}")
}
