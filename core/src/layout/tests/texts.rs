//! Which texts are refused, and where.

use super::*;
use crate::name::NameError;
use crate::plan::Direction;

fn refused(text: &str, message: &str, line: Option<u32>) {
    let error = read(&[("a.sql", text)]).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.line()), (message, line));
    assert_eq!(error.file(), Some("a.sql"));
    assert!(!error.hint().is_empty());
}

#[test]
fn texts_that_cannot_be_read_are_errors_with_file_and_line() {
    for (text, message, line) in [
        ("", "file \"a.sql\": the up holds no statement", None),
        (
            "-- x\n/* y */",
            "file \"a.sql\": the up holds no statement",
            None,
        ),
        ("A\0", "file \"a.sql\", line 1: NUL byte", Some(1)),
        (
            "A\n'",
            "file \"a.sql\", line 2: unterminated quoted string",
            Some(2),
        ),
        (
            "-- migrate:up\nA\n-- migrate:down\nB\n$$",
            "file \"a.sql\", line 5: unterminated dollar-quoted string, its tag is \"$$\"",
            Some(5),
        ),
        (
            "A\n\\copy t from 'x'",
            "file \"a.sql\", line 2: psql meta-command \"\\copy t from 'x'\"",
            Some(2),
        ),
    ] {
        refused(text, message, line);
    }
}

#[test]
fn directives_of_sections_are_errors_with_file_and_line() {
    for (text, message, line) in [
        (
            "-- migrate:up\nA\n-- migrate:down\n\n-- belay: requires x\nB",
            "file \"a.sql\", line 5: directive \"requires\" stands in the down",
            Some(5),
        ),
        (
            "-- migrate:up\nA\n-- migrate:down\n-- belay: x\nB",
            "file \"a.sql\", line 4: unknown directive \"x\"",
            Some(4),
        ),
        (
            "\n-- migrate:up transaction:false\n-- belay: transaction on\nA",
            "file \"a.sql\", line 3: directive \"transaction\" contradicts \"transaction:false\"",
            Some(3),
        ),
        (
            "-- belay: requires a\nA",
            "file \"a.sql\": migration \"a\" names itself in \"requires\"",
            None,
        ),
        (
            "-- belay: pairs-with a\nA",
            "file \"a.sql\": migration \"a\" names itself in \"pairs-with\"",
            None,
        ),
    ] {
        refused(text, message, line);
    }
}

#[test]
fn section_markers_have_rules() {
    for (text, expected) in [
        (
            "A\n-- migrate:up\nB",
            SectionError::StatementBeforeUp { line: 2 },
        ),
        (
            "-- migrate:down\nB\n-- migrate:up\nA",
            SectionError::DownFirst { line: 1 },
        ),
        (
            "-- migrate:up\nA\n-- migrate:up\nA",
            SectionError::Repeated {
                marker: "-- migrate:up",
                line: 3,
            },
        ),
        (
            "-- migrate:up\nA\n-- migrate:down\nB\n-- migrate:down\nC",
            SectionError::Repeated {
                marker: "-- migrate:down",
                line: 5,
            },
        ),
        (
            "-- migrate:up transaction=false\nA",
            SectionError::BadOption {
                option: "transaction=false".to_owned(),
                line: 1,
            },
        ),
    ] {
        let error = read(&[("a.sql", text)]).unwrap_err();
        let LayoutError::Text {
            source: TextError::Section { source, .. },
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(source, expected);
        assert!(!source.hint().is_empty());
    }
}

#[test]
fn a_down_cannot_be_a_section_and_a_file() {
    for files in [
        [("a.up.sql", "A\n-- migrate:down\nB"), ("a.down.sql", "C")],
        [("a.up.sql", "A"), ("a.down.sql", "-- migrate:down\nB")],
    ] {
        assert!(matches!(
            read(&files).unwrap_err(),
            LayoutError::Text {
                source: TextError::Section { .. },
                ..
            }
        ));
    }
}

#[test]
fn bytes_that_are_not_utf8_are_found() {
    let error = |content: &[u8]| {
        read_files(&[SourceFile {
            path: "a.sql",
            content,
        }])
        .unwrap_err()
    };
    let latin1 = error(b"SELECT 1;\nSELECT '\xe9'");
    assert_eq!(
        latin1.to_string(),
        "file \"a.sql\", line 2: not valid UTF-8 at byte 18"
    );
    assert_eq!(latin1.hint(), "save the file as UTF-8");
    assert!(error(b"\xff\xfeS\0").hint().contains("UTF-16"));
}

#[test]
fn metadata_is_read_or_refused() {
    let read = |toml| read(&[("a/up.sql", "A"), ("a/metadata.toml", toml)]);
    let transaction = |toml| read(toml).unwrap().migrations[0].directives.transaction;
    assert_eq!(transaction(""), None);
    assert_eq!(transaction("run_in_transaction = true"), Some(true));
    assert_eq!(
        transaction("# x\nother = 1\nrun_in_transaction = false"),
        Some(false)
    );
    let error = read("\nrun_in_transaction = 'no'").unwrap_err();
    assert_eq!(
        error.to_string(),
        "file \"a/metadata.toml\", line 2: \"run_in_transaction\" must be true or false, not string"
    );
    assert_eq!(read("\n\nx =").unwrap_err().line(), Some(3));
}

#[test]
fn a_registered_text_is_read_like_a_file() {
    let migration = Definition::from_text("a", "A\n-- migrate:down\nB", None).unwrap();
    assert_eq!(migration.up, "A\n");
    assert_eq!(migration.down.as_deref(), Some("-- migrate:down\nB"));
    assert_eq!((migration.down_first_line, migration.up_path), (2, None));

    let migration = Definition::from_text("a", "A", Some(" ")).unwrap();
    assert_eq!(migration.down, None);

    let error = Definition::from_text("a", "A", Some("B\n'")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "down, line 2: unterminated quoted string"
    );
    assert!(matches!(
        error,
        LayoutError::Text {
            part: Direction::Down,
            ..
        }
    ));
    assert!(matches!(
        Definition::from_text("", "A", None),
        Err(LayoutError::Name {
            source: NameError::Empty,
            ..
        })
    ));
    assert!(Definition::from_text("a", "A\n-- migrate:down\nB", Some("C")).is_err());
}

#[test]
fn restrict_lines_of_a_dump_are_blanked() {
    let dump = "--\n-- dump\n--\n\n\\restrict k\n\nCREATE;\n\n\\unrestrict k\n";
    let migration = one(&[("1_base.sql", dump)]);
    assert!(!migration.up.contains("restrict"));
    assert_eq!(migration.up.len(), dump.len());
}
