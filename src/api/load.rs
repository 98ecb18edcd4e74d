//! A whole set: `migrate_load` reads a directory of the server, `migrate_load_files` takes
//! the contents from any client.

use pgrx::iter::TableIterator;
use pgrx::{JsonB, pg_extern};

use super::files::{self, Files};
use super::{required, word};
use crate::error::{Result, entry};
use crate::ledger::Ledger;
use crate::registration::{self, Change, Load};

/// What takes the contents instead of a directory.
const FROM_CLIENT: &str = "belay.migrate_load_files(jsonb)";

/// Checks the arguments, then reads, then loads.
fn load(
    read: impl FnOnce() -> Result<Files>,
    on_missing: Option<&str>,
    prune: Option<bool>,
    project: Option<&str>,
) -> Result<Vec<Change>> {
    let ledger = Ledger::open_to_write()?;
    let on_missing = word(on_missing, "on_missing", "'error', 'allow' or 'revert'")?;
    let on_missing = required(on_missing, "on_missing")?;
    let prune = required(prune, "prune")?;
    let project = required(project, "project")?;
    let files = read()?;
    let project = ledger.lock_project(&ledger.project_for_registration(project)?)?;
    registration::load(&Load {
        ledger: &ledger,
        project: &project,
        files: &files,
        on_missing,
        prune,
    })
}

/// Columns: name, action, detail.
type Changes = TableIterator<'static, (String, String, Option<String>)>;

fn rows(changes: Vec<Change>) -> Changes {
    TableIterator::new(
        changes
            .into_iter()
            .map(|change| (change.name, change.action.to_owned(), change.detail)),
    )
}

#[pg_extern(sql = false)]
fn migrate_load(
    directory: Option<&str>,
    on_missing: Option<&str>,
    prune: Option<bool>,
    project: Option<&str>,
) -> Changes {
    rows(entry(|| {
        let directory = required(directory, "directory")?;
        load(
            || files::of_directory(directory, FROM_CLIENT),
            on_missing,
            prune,
            project,
        )
    }))
}

#[pg_extern(sql = false)]
fn migrate_load_files(
    files: Option<JsonB>,
    on_missing: Option<&str>,
    prune: Option<bool>,
    project: Option<&str>,
) -> Changes {
    rows(entry(|| {
        let given = required(files, "files")?.0;
        load(
            || files::of_json(given, "files"),
            on_missing,
            prune,
            project,
        )
    }))
}
