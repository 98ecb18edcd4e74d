//! The names of a snapshot, which are quoted where SQL needs it and joined by dots.

/// The name of what holds the object: the table of a column, the schema of a table. A schema has none.
pub(super) fn parent(name: &str) -> Option<&str> {
    let name = without_arguments(name);
    last_dot(name).map(|dot| &name[..dot])
}

/// The object's own name, not quoted and without arguments.
pub(super) fn own(name: &str) -> String {
    let name = without_arguments(name);
    let own = last_dot(name).map_or(name, |dot| &name[dot + 1..]);
    match own.strip_prefix('"').and_then(|own| own.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => own.to_owned(),
    }
}

/// Whether the object's own name ends with a version, as `fetch_job_v2` does.
pub(super) fn has_version(name: &str) -> bool {
    let own = own(name);
    let base = own.trim_end_matches(|c: char| c.is_ascii_digit());
    base.len() < own.len() && base.len() > "_v".len() && base.ends_with("_v")
}

fn without_arguments(name: &str) -> &str {
    unquoted(name, '(').next().map_or(name, |at| &name[..at])
}

fn last_dot(name: &str) -> Option<usize> {
    unquoted(name, '.').last()
}

/// Where a character stands outside of double quotes.
fn unquoted(name: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    name.char_indices().filter_map(move |(at, c)| {
        quoted ^= c == '"';
        (c == wanted && !quoted).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_outside_of_quotes() {
        for (name, holder, its_own) in [
            ("shop", None, "shop"),
            ("shop.orders", Some("shop"), "orders"),
            ("shop.\"or.ders\".id", Some("shop.\"or.ders\""), "id"),
            ("shop.\"a\"\"(.b\"", Some("shop"), "a\"(.b"),
            ("shop.f(shop.mood, integer)", Some("shop"), "f"),
        ] {
            assert_eq!(
                (parent(name), own(name).as_str()),
                (holder, its_own),
                "{name}"
            );
        }
    }

    #[test]
    fn a_version_is_v_and_a_number_behind_a_name() {
        for (name, versioned) in [
            ("shop.f_v1(integer)", true),
            ("shop.t.sync_v12", true),
            ("shop.\"F_v2\"", true),
            ("shop.f", false),
            ("shop.f_v", false),
            ("shop.f_v1_temp", false),
            ("shop.f2", false),
            ("shop._v1", false),
            ("shop.f_V1", false),
        ] {
            assert_eq!(has_version(name), versioned, "{name}");
        }
    }
}
