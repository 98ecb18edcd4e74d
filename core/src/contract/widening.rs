//! Types that hold every value of another one as it is, so that neither rows nor old code notice.
//!
//! What PostgreSQL changes without a rewrite (ATColumnChangeRequiresRewrite in tablecmds.c, with the support functions of
//! the length coercions: varchar_support, numeric_support, varbit_support, and TemporalSimplify for times), and casts
//! that are binary coercible to a type that keeps the text of the value: varchar and text, cidr to inet. Arrays of such
//! types are not among them.

/// The most digits of fractional seconds, which a time without a precision has.
const MOST_DIGITS: u32 = 6;

/// Whether a column of type `old` may become one of type `new`, as format_type writes both.
pub(super) fn widens(old: &str, new: &str) -> bool {
    let (old, new) = (Type::read(old), Type::read(new));
    match (old.name.as_str(), new.name.as_str()) {
        ("character varying", "text") | ("cidr", "inet") => true,
        // A text has no length.
        ("text", "character varying") => new.modifiers.is_empty(),
        (before, now) if before != now => false,
        ("character varying" | "bit varying", _) => wider(old.first(), new.first()),
        ("numeric", _) => {
            new.modifiers.is_empty()
                || (!old.modifiers.is_empty()
                    && old.modifiers.get(1) == new.modifiers.get(1)
                    && wider(old.first(), new.first()))
        }
        (
            "timestamp without time zone"
            | "timestamp with time zone"
            | "time without time zone"
            | "time with time zone"
            | "interval",
            _,
        ) => old.first().unwrap_or(MOST_DIGITS) <= new.first().unwrap_or(MOST_DIGITS),
        _ => false,
    }
}

/// Whether a limit, if there is still one, is not below what it was.
fn wider(old: Option<u32>, new: Option<u32>) -> bool {
    match (old, new) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => old <= new,
    }
}

/// `timestamp(3) without time zone`, taken apart.
struct Type {
    /// The name without modifiers.
    name: String,
    modifiers: Vec<u32>,
}

impl Type {
    /// What is not understood has a name that no other type has.
    fn read(text: &str) -> Type {
        let whole = || Type {
            name: text.to_owned(),
            modifiers: Vec::new(),
        };
        let Some((head, rest)) = text.split_once('(') else {
            return whole();
        };
        let Some((inner, tail)) = rest.split_once(')') else {
            return whole();
        };
        let modifiers: Result<Vec<u32>, _> =
            inner.split(',').map(|one| one.trim().parse()).collect();
        match modifiers {
            Ok(modifiers) => Type {
                name: format!("{head}{tail}"),
                modifiers,
            },
            Err(_) => whole(),
        }
    }

    fn first(&self) -> Option<u32> {
        self.modifiers.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::widens;

    #[test]
    fn types_that_hold_all_values_as_they_are_pass() {
        for (old, new) in [
            ("character varying(10)", "character varying(20)"),
            ("character varying(10)", "character varying"),
            ("character varying(10)", "text"),
            ("text", "character varying"),
            ("numeric(10,2)", "numeric(12,2)"),
            ("numeric(10,2)", "numeric"),
            ("bit varying(3)", "bit varying(4)"),
            ("bit varying(3)", "bit varying"),
            (
                "timestamp(3) without time zone",
                "timestamp(4) without time zone",
            ),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            ("time(0) without time zone", "time without time zone"),
            ("interval(2)", "interval"),
            ("cidr", "inet"),
        ] {
            assert!(widens(old, new), "{old} to {new}");
        }
    }

    #[test]
    fn all_others_do_not() {
        for (old, new) in [
            ("character varying(20)", "character varying(10)"),
            ("character varying", "character varying(10)"),
            ("text", "character varying(10)"),
            ("character(3)", "character(4)"),
            ("numeric(12,2)", "numeric(10,2)"),
            ("numeric(10,2)", "numeric(12,3)"),
            ("numeric", "numeric(10,2)"),
            ("integer", "bigint"),
            ("bit(3)", "bit(4)"),
            (
                "timestamp without time zone",
                "timestamp(3) without time zone",
            ),
            (
                "timestamp(3) without time zone",
                "timestamp(3) with time zone",
            ),
            ("interval year", "interval"),
            ("inet", "cidr"),
            ("character varying(10)[]", "character varying(20)[]"),
            ("character varying(10)[]", "text[]"),
        ] {
            assert!(!widens(old, new), "{old} to {new}");
        }
    }
}
