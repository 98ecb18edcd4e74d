//! Reading a set of files.

use std::collections::BTreeMap;

use super::classify::{Classified, Part, classify};
use super::define::{Source, define};
use super::definition::Definition;
use super::error::{LayoutError, TextError};
use super::metadata::run_in_transaction;
use super::{LoadedSet, SourceFile};
use crate::naming::Naming;
use crate::plan::Direction;
use crate::sql::line_of;

/// The files of one migration.
#[derive(Debug, Default)]
struct Files {
    up: Option<(Source, bool)>,
    down: Option<(Source, bool)>,
    metadata: Option<bool>,
}

/// Reads a set of files: every migration that they hold, or the first thing that is wrong with them.
///
/// ```
/// # use belay_core::layout::{SourceFile, read_files};
/// let file = |path, content: &'static str| SourceFile { path, content: content.as_bytes() };
/// let set = read_files(&[
///     file("0002_mail.sql", "ALTER TABLE users ADD mail text;"),
///     file("0001_users.up.sql", "CREATE TABLE users ();"),
///     file("0001_users.down.sql", "DROP TABLE users;"),
///     file("README.md", "How we migrate"),
/// ])?;
/// let names: Vec<&str> = set.migrations.iter().map(|m| m.name.as_str()).collect();
/// assert_eq!(names, ["0001_users", "0002_mail"]);
/// # Ok::<(), belay_core::layout::LayoutError>(())
/// ```
///
/// # Errors
///
/// [`LayoutError`]: no file is a migration, a file is not UTF-8 or not SQL, a down has no up, two files define
/// one text, a name, a directive or a section marker breaks its rules, an up holds no statement. Whether the
/// names suit the project's naming is not looked at; see [`Naming::check`].
pub fn read_files(files: &[SourceFile<'_>]) -> Result<LoadedSet, LayoutError> {
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    for file in files {
        if let Some(classified) = classify(file.path)? {
            add(&mut found, file, classified)?;
        }
    }
    // A folder with nothing but metadata.toml is no migration.
    found.retain(|_, files| files.up.is_some() || files.down.is_some());
    if found.is_empty() {
        return Err(LayoutError::NoMigrations { files: files.len() });
    }
    let naming = naming(&found);
    let mut migrations = Vec::with_capacity(found.len());
    for (name, files) in found {
        let definition = define_from(&name, files)?;
        let key = naming.sort_key(&name).map_err(|source| LayoutError::Name {
            path: definition.up_path.clone(),
            source,
        })?;
        migrations.push((key, definition));
    }
    migrations.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(LoadedSet {
        naming_hint: Some(naming),
        migrations: migrations.into_iter().map(|(_, found)| found).collect(),
    })
}

fn naming(found: &BTreeMap<String, Files>) -> Naming {
    let mut ups = found.values().filter_map(|files| files.up.as_ref());
    match Naming::detect(found.keys().map(String::as_str)) {
        Naming::Natural if ups.all(|(_, in_directory)| *in_directory) => Naming::Diesel,
        detected => detected,
    }
}

fn add(
    found: &mut BTreeMap<String, Files>,
    file: &SourceFile<'_>,
    classified: Classified,
) -> Result<(), LayoutError> {
    let Classified {
        name,
        part,
        in_directory,
    } = classified;
    let direction = match part {
        Part::Down => Direction::Down,
        Part::Whole | Part::Up | Part::Metadata => Direction::Up,
    };
    let in_file = |source| LayoutError::Text {
        name: name.clone(),
        part: direction,
        path: Some(file.path.to_owned()),
        source,
    };
    let text = decode(file).map_err(in_file)?;
    let files = found.entry(name.clone()).or_default();
    let slot = match part {
        Part::Whole | Part::Up => &mut files.up,
        Part::Down => &mut files.down,
        Part::Metadata => {
            files.metadata = run_in_transaction(text).map_err(in_file)?;
            return Ok(());
        }
    };
    let source = Source {
        text: text.to_owned(),
        path: Some(file.path.to_owned()),
    };
    if let Some((first, _)) = slot.replace((source, in_directory)) {
        return Err(duplicate(&name, first.path, file.path));
    }
    Ok(())
}

fn define_from(name: &str, files: Files) -> Result<Definition, LayoutError> {
    match (files.up, files.down) {
        (Some((up, up_in_directory)), Some((down, down_in_directory))) => {
            if up_in_directory != down_in_directory {
                let second = down.path.unwrap_or_default();
                return Err(duplicate(name, up.path, &second));
            }
            define(name, &up, Some(&down), files.metadata)
        }
        (Some((up, _)), None) => define(name, &up, None, files.metadata),
        (None, down) => Err(LayoutError::DownWithoutUp {
            name: name.to_owned(),
            path: down.and_then(|(down, _)| down.path).unwrap_or_default(),
        }),
    }
}

/// The text of a file, without a byte order mark.
fn decode<'a>(file: &SourceFile<'a>) -> Result<&'a str, TextError> {
    match std::str::from_utf8(file.content) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let offset = error.valid_up_to();
            let valid = file.content.get(..offset).unwrap_or_default();
            let valid = std::str::from_utf8(valid).unwrap_or_default();
            Err(TextError::NotUtf8 {
                offset,
                utf16: matches!(file.content, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]),
                line: line_of(valid, offset),
            })
        }
    }
}

fn duplicate(name: &str, first: Option<String>, second: &str) -> LayoutError {
    LayoutError::Duplicate {
        name: name.to_owned(),
        first: first.unwrap_or_default(),
        second: second.to_owned(),
    }
}
