//! A project is changed: what the trigger of belay.project makes of that, whoever changes it.

use belay_core::order::Ordering;

use super::{active, contention};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::alteration::Alteration;
use crate::ledger::next_name::next_names;
use crate::ledger::project::Project;
use crate::pg::transaction::Mode;

/// How many late migrations an error lists.
const LISTED: usize = 20;

/// Refuses another ordering where a run is going on (55P03, MG012) or where what is applied would have
/// holes (MG001). Asked before the change, too, so that the error is not one of an UPDATE.
pub fn refuse_ordering(ledger: &Ledger, project: &Project, ordering: Ordering) -> Result<()> {
    active::refuse_within_run("change the ordering of its project")?;
    contention::take_now(ledger, project, Mode::Caller)?;
    ledger.refuse_old_snapshot(project)?;
    match ordering {
        Ordering::Strict => refuse_holes(ledger, project),
        Ordering::Disjoint | Ordering::Permissive => Ok(()),
    }
}

/// Keeps the change in the history, unless it is refused.
pub fn altered(alteration: &Alteration) -> Result<()> {
    if alteration.is_empty() {
        return Ok(());
    }
    let ledger = Ledger::open()?;
    let project = &alteration.project;
    if let Some(ordering) = alteration.new_ordering() {
        refuse_ordering(&ledger, project, ordering)?;
    }
    ledger.record_alteration(alteration)
}

/// Strict: what is pending comes after what is applied, or was accepted.
fn refuse_holes(ledger: &Ledger, project: &Project) -> Result<()> {
    let late = ledger.late(project)?;
    let Some((first, newest)) = late.first() else {
        return Ok(());
    };
    let listed = late.iter().take(LISTED);
    let mut listed: Vec<String> = listed.map(|(name, _)| name.clone()).collect();
    if late.len() > LISTED {
        listed.push(format!("and {} more", late.len() - LISTED));
    }
    let mut names = next_names(
        ledger.installed.schema,
        project.id,
        std::slice::from_ref(first),
    )?;
    let quoted = |text: &String| pgrx::spi::quote_literal(text);
    let new = names.pop().flatten();
    let new = new.as_ref().map_or_else(|| "<new name>".to_owned(), quoted);
    let argument = super::planning::project_argument(&project.name);
    Err(Failure::new(
        Code::Late,
        format!(
            "project \"{}\" cannot become strict: {} before \"{newest}\", which is applied",
            project.name,
            match late.len() {
                1 => "1 pending migration sorts".to_owned(),
                n => format!("{n} pending migrations sort"),
            }
        ),
        format!(
            "apply what is pending first: CALL belay.migrate_up({}); or rename it: SELECT belay.migrate_rename({own}, {new}{argument}); \
             or after review let it run late: SELECT belay.migrate_accept_late({own}, after => {}, reason => '...'{argument})",
            argument.trim_start_matches(", "),
            quoted(newest),
            own = quoted(first),
        ),
    )
    .detail(listed.join("\n")))
}
