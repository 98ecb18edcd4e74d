//! `on_privileged => 'refuse'`: a plan with migrations that take rights which the caller may lack
//! runs not at all. Whoever has the rights runs their SQL by hand, and marks them.

use std::collections::HashMap;

use belay_core::plan::{Direction, PlannedStep, Request};
use belay_core::sql::tokens;

use super::call::{Call, OnPrivileged};
use super::planning::Planned;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::privileged::Suspect;
use crate::ledger::project::{DEFAULT, Project};
use crate::pg::{identity, parse, portal};

/// A step that is privileged.
struct Privileged<'a> {
    /// Its place in the plan, from 0.
    at: usize,
    step: &'a PlannedStep,
    /// `None` where the caller may not read it.
    text: Option<&'a str>,
}

/// Refuses (42501) a plan of which any step is privileged, where the call asks for that; all are
/// listed, with their SQL.
pub fn refuse(ledger: &Ledger, planned: &Planned, project: &Project, call: &Call) -> Result<()> {
    if call.on_privileged == OnPrivileged::Apply {
        return Ok(());
    }
    let steps = &planned.plan.steps;
    let suspects = ledger.suspects(steps.iter().map(|step| step.entry.id).collect())?;
    let suspects: HashMap<i64, Suspect> = suspects.into_iter().map(|s| (s.migration, s)).collect();
    let reads_all = ledger.may_read_texts()?;
    let mut found = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let Some(suspect) = suspects.get(&step.entry.id) else {
            continue;
        };
        if is_privileged(suspect, step.direction)? {
            let may_read = reads_all || may_read_its_own(planned, step);
            let text = may_read.then(|| suspect.text(step.direction));
            found.push(Privileged { at, step, text });
        }
    }
    let Some(first) = found.first() else {
        return Ok(());
    };
    let message = format!(
        "{} of {} steps {} privileged, and on_privileged => 'refuse' runs none",
        found.len(),
        steps.len(),
        if found.len() == 1 { "is" } else { "are" }
    );
    let marks = marks(&found, project);
    let hint = format!(
        "{}as a role with the rights, run {} and tell: {}",
        before(&steps[..first.at], &call.request, project),
        match (marks.len(), found.len()) {
            (some, all) if some < all => format!("the first {some} in DETAIL"),
            _ => "the SQL in DETAIL".to_owned(),
        },
        marks.join("; ")
    );
    let listed: Vec<String> = found.iter().map(Privileged::listed).collect();
    Err(Failure::new(Code::Privilege, message, hint).detail(listed.join("\n")))
}

/// As registered, or by a look at what 0.1.0 registered.
fn is_privileged(suspect: &Suspect, direction: Direction) -> Result<bool> {
    if let Some(known) = suspect.is_privileged(direction) {
        return Ok(known);
    }
    let _memory = portal::Memory::enter();
    Ok(parse::parse(suspect.text(direction))?.is_privileged())
}

/// Texts may hold secrets, so they are told to who holds the registrant's rights, as to who may
/// read the table.
fn may_read_its_own(planned: &Planned, step: &PlannedStep) -> bool {
    let registrant = planned.gathered.traits.get(&step.entry.id);
    registrant
        .and_then(|traits| identity::role_by_name(&traits.registrant))
        .is_some_and(|registrant| identity::has_rights_of(identity::current_role(), registrant))
}

impl Privileged<'_> {
    /// A comment that names it, and its SQL, so that all of it can be run as it stands.
    fn listed(&self) -> String {
        let mut what = format!("-- {}, {}", self.step.entry.name, self.step.direction);
        if let Some(statement) = self.step.resume_at {
            what.push_str(&format!(", from statement {statement} on"));
        }
        match self.text {
            None => format!("{what}: its SQL is told to who may read belay.definition"),
            Some(text) => format!("{what}\n{}", ended(text.trim_end())),
        }
    }
}

/// The text with a semicolon behind its last statement, before a comment that may follow.
fn ended(text: &str) -> String {
    let last = tokens(text).last().and_then(|token| token.ok());
    match last.map(|token| (&text[token.start..token.end], token.end)) {
        Some((";", _)) | None => text.to_owned(),
        Some((_, end)) => format!("{};{}", &text[..end], &text[end..]),
    }
}

/// How to run what stands before the first privileged step.
fn before(steps: &[PlannedStep], request: &Request, project: &Project) -> String {
    let more = more(project);
    let mut calls = Vec::new();
    let downs = steps.iter().filter(|s| s.direction == Direction::Down);
    match downs.count() {
        0 => {}
        steps => calls.push(format!("CALL belay.migrate_down(steps => {steps}{more})")),
    }
    let mut ups = steps.iter().filter(|s| s.direction == Direction::Up);
    if let Some(last) = ups.next_back() {
        let phase = match request {
            Request::Up {
                phase: Some(phase), ..
            } => format!(", phase => '{phase}'"),
            _ => String::new(),
        };
        let target = pgrx::spi::quote_literal(&last.entry.name);
        calls.push(format!(
            "CALL belay.migrate_up(target => {target}{phase}{more})"
        ));
    }
    match calls.as_slice() {
        [] => String::new(),
        calls => format!("first {}; then ", calls.join(" and ")),
    }
}

/// How to tell the ledger what was run by hand, up to the next step that need not be.
fn marks(found: &[Privileged<'_>], project: &Project) -> Vec<String> {
    let together = found
        .iter()
        .enumerate()
        .take_while(|(nth, privileged)| privileged.at == found[0].at + nth);
    together
        .map(|(_, privileged)| {
            format!(
                "SELECT belay.migrate_mark({}, '{}'{})",
                pgrx::spi::quote_literal(&privileged.step.entry.name),
                match privileged.step.direction {
                    Direction::Up => "applied",
                    Direction::Down => "pending",
                },
                more(project)
            )
        })
        .collect()
}

/// What a call says of its project.
fn more(project: &Project) -> String {
    match project.name.as_str() {
        DEFAULT => String::new(),
        name => format!(", project => {}", pgrx::spi::quote_literal(name)),
    }
}
