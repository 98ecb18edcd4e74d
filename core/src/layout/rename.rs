//! Which files to move so that a migration gets another name.

use super::classify::{Classified, classify};

/// The moves, from and to, as relative paths: of each file of the migration, or of its directory.
///
/// ```
/// # use belay_core::layout::renames;
/// let moves = renames(["2_b.up.sql", "2_b.down.sql", "3_c.sql"], "2_b", "4_b");
/// assert_eq!(moves[0], ("2_b.up.sql".to_owned(), "4_b.up.sql".to_owned()));
/// assert_eq!(moves.len(), 2);
/// assert_eq!(renames(["2_b/up.sql", "2_b/down.sql"], "2_b", "4_b"), [("2_b".to_owned(), "4_b".to_owned())]);
/// ```
pub fn renames<'a>(
    paths: impl IntoIterator<Item = &'a str>,
    old: &str,
    new: &str,
) -> Vec<(String, String)> {
    let mut moves = Vec::new();
    for path in paths {
        // What is no migration's stays where it is.
        let Ok(Some(found)) = classify(path) else {
            continue;
        };
        if found.name != old {
            continue;
        }
        let step = one(path, &found, new);
        if !moves.contains(&step) {
            moves.push(step);
        }
    }
    moves
}

fn one(path: &str, found: &Classified, new: &str) -> (String, String) {
    if found.in_directory {
        return (found.name.clone(), new.to_owned());
    }
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let ending = file.strip_prefix(found.name.as_str()).unwrap_or_default();
    (file.to_owned(), format!("{new}{ending}"))
}
