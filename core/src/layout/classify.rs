//! What a file is, by its path.

use super::error::LayoutError;

/// Which text of a migration a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `NAME.sql`: the up, and perhaps the down.
    Whole,
    Up,
    Down,
    /// diesel's `metadata.toml`.
    Metadata,
}

/// A file that belongs to a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classified {
    pub(super) name: String,
    pub(super) part: Part,
    /// Whether it stands in a directory of the migration's name.
    pub(super) in_directory: bool,
}

/// What the file is; `None` where it is none of a migration's and may be passed over.
pub(super) fn classify(path: &str) -> Result<Option<Classified>, LayoutError> {
    let normal = path.replace('\\', "/");
    let parts: Vec<&str> = normal
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    // Hidden files and folders belong to editors and version control.
    if parts.iter().any(|part| part.starts_with('.')) {
        return Ok(None);
    }
    match parts.as_slice() {
        [file] => at_top(path, file),
        [directory, file] => in_directory(path, directory, file),
        [.., file] if without_extension(file).is_some() => Err(stray(path)),
        _ => Ok(None),
    }
}

fn at_top(path: &str, file: &str) -> Result<Option<Classified>, LayoutError> {
    let Some(stem) = without_extension(file) else {
        return Ok(None);
    };
    if stem == "up" || stem == "down" {
        return Err(LayoutError::Nameless {
            path: path.to_owned(),
        });
    }
    let (name, part) = if let Some(name) = stem.strip_suffix(".up") {
        (name, Part::Up)
    } else if let Some(name) = stem.strip_suffix(".down") {
        (name, Part::Down)
    } else {
        (stem, Part::Whole)
    };
    Ok(Some(Classified {
        name: name.to_owned(),
        part,
        in_directory: false,
    }))
}

fn in_directory(
    path: &str,
    directory: &str,
    file: &str,
) -> Result<Option<Classified>, LayoutError> {
    let part = match file {
        "up.sql" => Part::Up,
        "down.sql" => Part::Down,
        "metadata.toml" => Part::Metadata,
        _ if without_extension(file).is_some() => return Err(stray(path)),
        _ => return Ok(None),
    };
    Ok(Some(Classified {
        name: directory.to_owned(),
        part,
        in_directory: true,
    }))
}

/// The file's name before `.sql`, written in any case.
fn without_extension(file: &str) -> Option<&str> {
    const EXTENSION: &str = ".sql";
    let at = file.len().checked_sub(EXTENSION.len())?;
    let (stem, extension) = file.split_at_checked(at)?;
    extension.eq_ignore_ascii_case(EXTENSION).then_some(stem)
}

fn stray(path: &str) -> LayoutError {
    LayoutError::StraySql {
        path: path.to_owned(),
    }
}
