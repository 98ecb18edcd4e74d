use super::*;

fn error(sql: &str) -> DirectiveError {
    directives(sql).unwrap_err()
}

#[test]
fn a_head_with_everything() {
    let sql = "\u{feff}-- A comment.\r\n\r\n/* another */\n-- belay: transaction off\n--belay:requires 1_a, \"b, c\"\n\
               ---- Belay : pairs-with \"2 \"\"x\"\"\" indivisible\n-- belay: lock-timeout 2s\n-- belay: lock-retries 3\n\
               -- belay: privileged\nSELECT 1;";
    assert_eq!(
        directives(sql).unwrap(),
        Directives {
            transaction: Some(false),
            requires: vec!["1_a".to_owned(), "b, c".to_owned()],
            pairs_with: Some(Pair {
                name: "2 \"x\"".to_owned(),
                indivisible: true
            }),
            lock_timeout_ms: Some(2000),
            lock_retries: Some(3),
            privileged: Some(true),
            waivers: Vec::new(),
        }
    );
}

#[test]
fn no_directives_is_the_default() {
    for sql in [
        "",
        "SELECT 1",
        "-- belayed: x\n-- a belay: b\nSELECT 1",
        "/* belay: x */",
    ] {
        assert_eq!(directives(sql).unwrap(), Directives::default(), "{sql}");
    }
}

#[test]
fn comments_in_strings_and_bodies_are_no_directives() {
    for sql in [
        "SELECT '\n-- belay: x\n'",
        "DO $$\n-- belay: transaction off\n$$",
        "\"\n-- belay: x\"",
        "/*\n-- belay: x\n*/",
    ] {
        assert_eq!(directives(sql).unwrap(), Directives::default(), "{sql}");
    }
}

#[test]
fn times_are_read_as_postgresql_writes_them() {
    for (value, expected) in [
        ("0", 0),
        ("500ms", 500),
        ("2 s", 2000),
        ("1min", 60_000),
        ("1h", 3_600_000),
        ("1d", 86_400_000),
        ("2147483647ms", 2_147_483_647),
    ] {
        let sql = format!("-- belay: lock-timeout {value}");
        assert_eq!(directives(&sql).unwrap().lock_timeout_ms, Some(expected));
    }
}

#[test]
fn retries_are_a_plain_number() {
    for (value, expected) in [("0", 0), ("3", 3), ("2147483647", 2_147_483_647)] {
        let sql = format!("-- belay: lock-retries {value}");
        assert_eq!(directives(&sql).unwrap().lock_retries, Some(expected));
    }
    for value in ["", "-1", "+3", "many", "1.5", "3 times", "2147483648"] {
        let found = error(&format!("-- belay: lock-retries {value}"));
        assert!(
            matches!(&found, DirectiveError::BadValue { word, line: 1, .. } if word == "lock-retries"),
            "{value}: {found:?}"
        );
    }
}

#[test]
fn privileged_is_on_without_a_value() {
    for (value, expected) in [("", true), (" on", true), (" off", false)] {
        let sql = format!("-- belay: privileged{value}\nSELECT 1");
        assert_eq!(directives(&sql).unwrap().privileged, Some(expected));
    }
}

#[test]
fn bad_values_are_refused_with_the_line() {
    for directive in [
        "transaction",
        "transaction maybe",
        "requires",
        "requires a,",
        "requires a,,b",
        "requires a, a",
        "requires @none",
        "requires \"a",
        "requires \"a\" b",
        "pairs-with",
        "pairs-with a b",
        "pairs-with a indivisible b",
        "pairs-with \"\"",
        "lock-timeout",
        "lock-timeout 2",
        "lock-timeout 2 weeks",
        "lock-timeout -1s",
        "lock-timeout 25d",
        "lock-timeout 99999999999999999999s",
        "privileged yes",
        "privileged on on",
    ] {
        let error = error(&format!("-- x\n-- belay: {directive}\nSELECT 1"));
        assert!(
            matches!(error, DirectiveError::BadValue { line: 2, .. }),
            "{directive}: {error}"
        );
        assert!(error.hint().starts_with("write "));
    }
}

#[test]
fn unknown_repeated_and_late_directives_are_errors_with_the_line() {
    for (sql, message, line) in [
        (
            "\n-- belay: tranaction off",
            "unknown directive \"tranaction\"",
            2,
        ),
        ("-- belay:", "unknown directive \"\"", 1),
        (
            "-- belay: transaction on\n-- belay: transaction on",
            "directive \"transaction\" is given twice",
            2,
        ),
        (
            "SELECT 1;\n\n-- belay: transaction off",
            "directive \"transaction\" stands after the first statement",
            3,
        ),
        (
            "SELECT 1 -- belay: transaction off",
            "directive \"transaction\" stands after the first statement",
            1,
        ),
        ("SELECT 1;\n'", "unterminated quoted string", 2),
    ] {
        let error = error(sql);
        assert_eq!((error.to_string().as_str(), error.line()), (message, line));
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn the_marker_of_sqlx_counts_at_the_first_byte_only() {
    let transaction = |sql| directives(sql).unwrap().transaction;
    assert_eq!(transaction("-- no-transaction\nSELECT 1"), Some(false));
    assert_eq!(
        transaction("\u{feff}-- no-transaction\r\nSELECT 1"),
        Some(false)
    );
    assert_eq!(
        transaction("-- no-transaction\n-- belay: transaction off"),
        Some(false)
    );
    assert_eq!(transaction("\n-- no-transaction\nSELECT 1"), None);
    assert_eq!(transaction("--no-transaction\nSELECT 1"), None);
    assert!(matches!(
        error("-- no-transaction\n-- belay: transaction on\n"),
        DirectiveError::Contradiction { line: 2, .. }
    ));
}

#[test]
fn the_options_of_dbmate() {
    assert_eq!(marker_option(""), MarkerOption::Unsaid);
    assert_eq!(marker_option(" some:thing prose"), MarkerOption::Unsaid);
    assert_eq!(
        marker_option(" x transaction:false"),
        MarkerOption::Transaction(false)
    );
    assert_eq!(
        marker_option("transaction:true"),
        MarkerOption::Transaction(true)
    );
    assert_eq!(
        marker_option("transaction=false"),
        MarkerOption::NotUnderstood("transaction=false".to_owned())
    );
}

#[test]
fn a_waiver_names_a_rule_and_says_why() {
    let sql = "-- belay: waive drop-column  nobody reads it\n-- belay: waive drop-table moved: see 12\nSELECT 1";
    let waivers = directives(sql).unwrap().waivers;
    let texts: Vec<String> = waivers.iter().map(Waiver::to_text).collect();
    assert_eq!(
        texts,
        ["drop-column nobody reads it", "drop-table moved: see 12"]
    );
    let again: Vec<_> = texts
        .iter()
        .filter_map(|text| Waiver::from_text(text))
        .collect();
    assert_eq!(again, waivers);
}

#[test]
fn a_waiver_without_a_rule_or_a_reason_is_refused() {
    for (directive, message, hint) in [
        (
            "waive",
            "directive \"waive\" cannot be \"\"",
            "write waive RULE and the reason",
        ),
        (
            "waive drop-column",
            "directive \"waive\" cannot be \"drop-column\"",
            "write waive RULE and the reason",
        ),
        (
            "waive drop-colum x",
            "there is no rule \"drop-colum\" to waive",
            "rules are: drop-column",
        ),
        (
            "waive everything x",
            "there is no rule \"everything\" to waive",
            "rules are: drop-schema, ",
        ),
        (
            "waive drop-view x\n-- belay: waive drop-view y",
            "directive \"waive drop-view\" is given twice",
            "keep one",
        ),
    ] {
        let error = error(&format!("-- belay: {directive}\nSELECT 1"));
        assert_eq!(error.to_string(), message);
        assert!(
            error.hint().starts_with(hint),
            "{directive}: {}",
            error.hint()
        );
    }
}
