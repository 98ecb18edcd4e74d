//! Sets of files, from a JSON object or from a directory of the server.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use crate::error::{Code, Failure, Result};
use crate::pg::identity;

/// How the name of a job's file ends.
const JOB: &str = ".job.json";

/// How deep folders are read; what is deeper than NAME/up.sql is refused by the layout, not overlooked.
const DEPTH: usize = 8;

/// Path and content of each.
pub type Files = Vec<(String, Vec<u8>)>;

/// The files of a JSON object {"path": "content"}, which is that argument.
pub fn of_json(json: Value, argument: &str) -> Result<Files> {
    let Value::Object(map) = json else {
        return Err(not_files(
            format!("{argument} is not a JSON object"),
            argument,
        ));
    };
    map.into_iter()
        .map(|(path, content)| match content {
            Value::String(content) => Ok((path, content.into_bytes())),
            _ => Err(not_files(
                format!("the content of \"{path}\" in {argument} is not a string"),
                argument,
            )),
        })
        .collect()
}

fn not_files(message: String, argument: &str) -> Failure {
    Failure::new(
        Code::InvalidParameter,
        message,
        format!(
            "pass {argument} => '{{\"0001_users.sql\": \"CREATE TABLE ...\", ...}}': path and content"
        ),
    )
}

/// The files below a directory of the server; `instead` takes them from any client.
pub fn of_directory(directory: &str, instead: &str) -> Result<Files> {
    if !identity::may_read_server_files() {
        return Err(Failure::new(
            Code::Privilege,
            "reading a directory of the server takes a superuser or a member of pg_read_server_files",
            format!("GRANT pg_read_server_files TO the role, or send the contents: {instead}"),
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
    let reading = Reading { instead };
    reading.read_into(Path::new(directory), "", DEPTH, &mut files)?;
    Ok(files)
}

/// Directories, as they are read.
struct Reading<'a> {
    instead: &'a str,
}

impl Reading<'_> {
    fn read_into(
        &self,
        directory: &Path,
        prefix: &str,
        depth: usize,
        files: &mut Files,
    ) -> Result<()> {
        for found in std::fs::read_dir(directory).map_err(self.failed(directory))? {
            crate::pg::client::check_interrupts();
            let path = found.map_err(self.failed(directory))?.path();
            let own = path.file_name().unwrap_or_default();
            if own.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = std::fs::metadata(&path).map_err(self.failed(&path))?;
            let migration = path.extension().is_some_and(|end| {
                end.eq_ignore_ascii_case("sql") || end.eq_ignore_ascii_case("toml")
            });
            let migration = migration || own.as_encoded_bytes().ends_with(JOB.as_bytes());
            if !(kind.is_dir() && depth > 1 || kind.is_file() && migration) {
                continue;
            }
            let Some(own) = own.to_str() else {
                return Err(not_utf8(&path));
            };
            let name = format!("{prefix}{own}");
            match kind.is_dir() {
                true => self.read_into(&path, &format!("{name}/"), depth - 1, files)?,
                false => files.push((name, std::fs::read(&path).map_err(self.failed(&path))?)),
            }
        }
        Ok(())
    }

    /// What the operating system said of a path, as an error of the server's.
    fn failed(&self, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
        let instead = self.instead.to_owned();
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
                format!(
                    "the path is one of the server's machine, read by the server's user; \
                 {instead} takes the contents from the client"
                ),
            )
            .detail(error.to_string())
        }
    }
}

fn not_utf8(path: &Path) -> Failure {
    Failure::new(
        Code::File,
        format!("the name of file \"{}\" is not UTF-8", path.display()),
        "rename the file; its name is the migration's",
    )
}
