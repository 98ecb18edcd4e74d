//! A whole set: `migrate_load` reads a directory of the server, `migrate_load_files` takes
//! the contents from any client.

use std::io::ErrorKind;
use std::path::Path;

use pgrx::iter::TableIterator;
use pgrx::{JsonB, pg_extern};
use serde_json::Value;

use super::{required, word};
use crate::error::{Code, Failure, Result, entry};
use crate::ledger::Ledger;
use crate::pg::identity;
use crate::registration::{self, Change, Load};

/// How deep folders are read; what is deeper than NAME/up.sql is refused by the layout, not overlooked.
const DEPTH: usize = 8;

type Files = Vec<(String, Vec<u8>)>;

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

/// The files of a JSON object {"path": "content"}.
fn files_of(json: Value) -> Result<Files> {
    let Value::Object(map) = json else {
        return Err(not_files("files is not a JSON object"));
    };
    map.into_iter()
        .map(|(path, content)| match content {
            Value::String(content) => Ok((path, content.into_bytes())),
            _ => Err(not_files(&format!(
                "the content of \"{path}\" is not a string"
            ))),
        })
        .collect()
}

fn not_files(message: &str) -> Failure {
    Failure::new(
        Code::InvalidParameter,
        message,
        "pass files => '{\"0001_users.sql\": \"CREATE TABLE ...\", ...}': path and content",
    )
}

/// The files below a directory of the server.
fn read_directory(directory: &str) -> Result<Files> {
    if !identity::may_read_server_files() {
        return Err(Failure::new(
            Code::Privilege,
            "reading a directory of the server takes a superuser or a member of pg_read_server_files",
            "GRANT pg_read_server_files TO the role, or send the contents: belay.migrate_load_files(jsonb)",
        ));
    }
    if !Path::new(directory).is_absolute() {
        return Err(Failure::new(
            Code::InvalidParameter,
            format!("\"{directory}\" is not an absolute path"),
            "pass the whole path on the server's machine; it would be read below the data directory",
        ));
    }
    let mut files = Files::new();
    read_into(Path::new(directory), "", DEPTH, &mut files)?;
    Ok(files)
}

fn read_into(directory: &Path, prefix: &str, depth: usize, files: &mut Files) -> Result<()> {
    for found in std::fs::read_dir(directory).map_err(failed(directory))? {
        crate::pg::client::check_interrupts();
        let path = found.map_err(failed(directory))?.path();
        let own = path.file_name().unwrap_or_default();
        if own.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = std::fs::metadata(&path).map_err(failed(&path))?;
        let migration = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("sql") || end.eq_ignore_ascii_case("toml"));
        if !(kind.is_dir() && depth > 1 || kind.is_file() && migration) {
            continue;
        }
        let Some(own) = own.to_str() else {
            return Err(not_utf8(&path));
        };
        let name = format!("{prefix}{own}");
        match kind.is_dir() {
            true => read_into(&path, &format!("{name}/"), depth - 1, files)?,
            false => files.push((name, std::fs::read(&path).map_err(failed(&path))?)),
        }
    }
    Ok(())
}

fn not_utf8(path: &Path) -> Failure {
    Failure::new(
        Code::File,
        format!("the name of file \"{}\" is not UTF-8", path.display()),
        "rename the file; its name is the migration's",
    )
}

/// What the operating system said of a path, as an error of the server's.
fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| {
        let what = match error.kind() {
            ErrorKind::NotFound => "does not exist",
            ErrorKind::NotADirectory => "is not a directory",
            _ => "cannot be read",
        };
        Failure::new(
            Code::UndefinedFile,
            format!("\"{path}\" {what} on the server"),
            "the path is one of the server's machine, read by the server's user; \
             belay.migrate_load_files(jsonb) takes the contents from the client",
        )
        .detail(error.to_string())
    }
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
        load(|| read_directory(directory), on_missing, prune, project)
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
        let files = required(files, "files")?.0;
        load(|| files_of(files), on_missing, prune, project)
    }))
}
