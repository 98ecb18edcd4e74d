//! The list of what a view selects, as the server prints it.

/// Whether a query is another one with columns added at the end of its list and no other difference.
///
/// A function call among what is added, and DISTINCT, change how many rows there are: such a query is another one.
pub(super) fn adds_columns(old: &str, new: &str) -> bool {
    let (Some((list, rest)), Some((longer, after))) = (cut(old), cut(new)) else {
        return false;
    };
    let added = longer
        .strip_prefix(list)
        .and_then(|added| added.strip_prefix(','));
    rest == after
        && !list.trim_start().starts_with("SELECT DISTINCT")
        && added.is_some_and(|added| !calls(added))
}

/// The query up to its FROM, and what follows; one without FROM ends with its list. `None` where it is not one SELECT.
fn cut(query: &str) -> Option<(&str, &str)> {
    let query = query.trim_end().trim_end_matches(';').trim_end();
    if !query.trim_start().starts_with("SELECT ") {
        return None;
    }
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in query.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.checked_sub(1)?,
            (None, 'F' | 'U' | 'W' | 'G' | 'O' | 'L' | 'H' | 'E' | 'I') if depth == 0 => {
                if is_word(query, at, "FROM") {
                    return Some((query[..at].trim_end(), &query[at..]));
                }
                if ["UNION", "EXCEPT", "INTERSECT", "WHERE", "GROUP", "HAVING"]
                    .iter()
                    .any(|word| is_word(query, at, word))
                {
                    return None;
                }
            }
            _ => {}
        }
    }
    Some((query, ""))
}

/// Whether the word stands there with white space around it.
fn is_word(text: &str, at: usize, word: &str) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at..]
        .strip_prefix(word)
        .and_then(|rest| rest.chars().next());
    before.is_some_and(char::is_whitespace) && after.is_some_and(char::is_whitespace)
}

/// Whether a text calls a function: a name directly before a parenthesis.
fn calls(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(2).any(|pair| {
        pair[1] == b'('
            && (pair[0].is_ascii_alphanumeric()
                || pair[0] == b'_'
                || pair[0] == b'"'
                || !pair[0].is_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::adds_columns;

    const OLD: &str = " SELECT o.id,\n    o.\"FROM\"\n   FROM shop.orders o\n  WHERE (o.id > 0);";

    #[test]
    fn columns_at_the_end_pass() {
        let new = OLD.replace(
            "\"FROM\"\n",
            "\"FROM\",\n    (o.total + 1) AS t,\n    'FROM x' AS y\n",
        );
        assert!(adds_columns(OLD, &new));
        assert!(adds_columns(
            " SELECT 1 AS a;",
            " SELECT 1 AS a,\n    2 AS b;"
        ));
    }

    #[test]
    fn everything_else_does_not() {
        for (from, to) in [
            ("o.id,", "o.total,"),
            ("o.id > 0", "o.id > 1"),
            ("\"FROM\"\n", "\"FROM\" AS other\n"),
            ("\"FROM\"\n", "\"FROM\",\n    unnest(o.tags) AS tag\n"),
            (";", " LIMIT 1;"),
            (";", "\nUNION\n SELECT 1, 2;"),
        ] {
            assert!(!adds_columns(OLD, &OLD.replacen(from, to, 1)), "{to}");
        }
        let distinct = OLD.replace("SELECT", "SELECT DISTINCT");
        assert!(!adds_columns(
            &distinct,
            &distinct.replace("\"FROM\"\n", "\"FROM\",\n    o.total\n")
        ));
    }
}
