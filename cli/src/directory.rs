//! The files below a directory, as `belay.migrate_load` reads them on a server.

use std::fs;
use std::io;
use std::path::Path;

use belay_core::layout::SourceFile;

use crate::error::Error;

/// What is deeper than NAME/up.sql is refused by the layout, not overlooked.
const DEPTH: usize = 8;

/// The files of a directory that can be migrations: relative path and content.
#[derive(Debug, Default)]
pub struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    /// Reads them, in the order of their paths.
    pub fn read(directory: &Path) -> Result<Files, Error> {
        let mut files = Files::default();
        files.read_into(directory, "", DEPTH)?;
        files.0.sort();
        Ok(files)
    }

    /// As core takes them.
    pub fn sources(&self) -> Vec<SourceFile<'_>> {
        self.0
            .iter()
            .map(|(path, content)| SourceFile { path, content })
            .collect()
    }

    /// Their relative paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| path.as_str())
    }

    fn read_into(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        for found in fs::read_dir(directory).map_err(unreadable(directory))? {
            let path = found.map_err(unreadable(directory))?.path();
            let own = path.file_name().unwrap_or_default();
            if own.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = fs::metadata(&path).map_err(unreadable(&path))?;
            if !(kind.is_dir() && depth > 1 || kind.is_file() && may_be_migration(&path)) {
                continue;
            }
            let own = own
                .to_str()
                .ok_or_else(|| Error::NotUtf8 { path: path.clone() })?;
            let name = format!("{prefix}{own}");
            match kind.is_dir() {
                true => self.read_into(&path, &format!("{name}/"), depth - 1)?,
                false => self
                    .0
                    .push((name, fs::read(&path).map_err(unreadable(&path))?)),
            }
        }
        Ok(())
    }
}

fn may_be_migration(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("sql") || end.eq_ignore_ascii_case("toml"))
}

/// An error of the system's about a path.
pub fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Read { path, source }
}
