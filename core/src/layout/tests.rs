use super::*;
use crate::name::NameError;
use crate::plan::Direction;

fn read(files: &[(&str, &str)]) -> Result<LoadedSet, LayoutError> {
    let files: Vec<SourceFile<'_>> = files
        .iter()
        .map(|(path, content)| SourceFile {
            path,
            content: content.as_bytes(),
        })
        .collect();
    read_files(&files)
}

fn one(files: &[(&str, &str)]) -> Definition {
    let set = read(files).unwrap();
    assert_eq!(set.migrations.len(), 1);
    set.migrations.into_iter().next().unwrap()
}

fn names(set: &LoadedSet) -> Vec<&str> {
    set.migrations.iter().map(|m| m.name.as_str()).collect()
}

#[test]
fn one_file_is_an_up() {
    let migration = one(&[("0001_users.sql", "\u{feff}CREATE TABLE users ();\r\n")]);
    assert_eq!(migration.name, "0001_users");
    assert_eq!(migration.up, "CREATE TABLE users ();\r\n");
    assert_eq!(migration.down, None);
    assert_eq!(migration.up_path.as_deref(), Some("0001_users.sql"));
    assert_eq!((migration.up_first_line, migration.down_path), (1, None));
}

#[test]
fn a_pair_of_files_is_up_and_down() {
    let migration = one(&[
        (
            "1_a.down.sql",
            "-- belay: transaction off\n-- belay: lock-timeout 1s\nDROP",
        ),
        ("1_a.up.sql", "CREATE"),
    ]);
    assert_eq!(
        (migration.up.as_str(), migration.name.as_str()),
        ("CREATE", "1_a")
    );
    assert!(migration.down.unwrap().ends_with("DROP"));
    assert_eq!(migration.directives.transaction, None);
    assert_eq!(migration.down_transaction, Some(false));
    assert_eq!(migration.down_lock_timeout_ms, Some(1000));
    assert_eq!(migration.down_path.as_deref(), Some("1_a.down.sql"));
}

#[test]
fn a_directory_is_up_and_down_with_metadata_for_both() {
    let migration = one(&[
        ("2020-01-01-000000_a/up.sql", "CREATE"),
        (
            "2020-01-01-000000_a/down.sql",
            "-- belay: transaction on\nDROP",
        ),
        (
            "2020-01-01-000000_a/metadata.toml",
            "run_in_transaction = false",
        ),
        ("2020-01-01-000000_a/notes.txt", "x"),
    ]);
    assert_eq!(migration.name, "2020-01-01-000000_a");
    assert_eq!(migration.directives.transaction, Some(false));
    assert_eq!(migration.down_transaction, Some(true));
}

#[test]
fn sections_are_cut_at_their_markers_and_keep_their_lines() {
    let migration = one(&[(
        "1_a.sql",
        "-- belay: transaction off\n-- belay: lock-timeout 1s\n-- migrate:up\nCREATE\n\n-- migrate:down\n-- belay: transaction on\nDROP\n",
    )]);
    assert!(migration.up.ends_with("CREATE\n\n"));
    assert_eq!(
        migration.down.as_deref(),
        Some("-- migrate:down\n-- belay: transaction on\nDROP\n")
    );
    assert_eq!((migration.up_first_line, migration.down_first_line), (1, 6));
    assert_eq!(migration.directives.transaction, Some(false));
    assert_eq!(migration.down_transaction, Some(true));
    assert_eq!(migration.down_lock_timeout_ms, Some(1000));
}

#[test]
fn a_directive_within_the_up_section_is_not_for_the_down() {
    let migration = one(&[(
        "1.sql",
        "--migrate:up\n-- belay: transaction off\nA\n--  migrate:down transaction:false\nB",
    )]);
    assert_eq!(migration.directives.transaction, Some(false));
    assert_eq!(migration.down_transaction, Some(false));
    let migration = one(&[(
        "1.sql",
        "-- migrate:up transaction:false\nA\n-- migrate:down\nB",
    )]);
    assert_eq!(migration.directives.transaction, Some(false));
    assert_eq!(migration.down_transaction, None);
}

#[test]
fn the_marker_of_sqlx_holds_for_its_file() {
    let migration = one(&[("1.up.sql", "-- no-transaction\nA"), ("1.down.sql", "B")]);
    assert_eq!(migration.directives.transaction, Some(false));
    assert_eq!(migration.down_transaction, None);
}

#[test]
fn markers_within_strings_and_bodies_cut_nothing() {
    let text = "DO $$\n-- migrate:down\n$$; SELECT '\n-- migrate:up\n'; -- migrate:down\n-- migrate:downward\n--- migrate:down";
    assert_eq!(one(&[("1.sql", text)]).up, text);
}

#[test]
fn a_down_of_comments_is_no_down() {
    let diesel = "-- This file should undo anything in `up.sql`";
    for files in [
        [("a/up.sql", "A"), ("a/down.sql", diesel)],
        [("a.sql", "A\n-- migrate:down\n"), ("x.txt", "")],
        [("a.up.sql", "A"), ("a.down.sql", "")],
    ] {
        let migration = one(&files);
        assert_eq!((migration.down, migration.down_path), (None, None));
    }
}

#[test]
fn what_is_no_migration_is_passed_over() {
    let set = read(&[
        ("./b.SQL", "B"),
        ("a.sql", "A"),
        ("README.md", "\0"),
        (".gitkeep", ""),
        (".hidden.sql", "x"),
        (".git/x.sql", "x"),
        ("a.sql~", "x"),
        ("a.sql.bak", "x"),
        ("notes.txt", "x"),
        ("img/logo.png", "x"),
        ("empty/metadata.toml", ""),
        ("__init__.py", ""),
    ])
    .unwrap();
    assert_eq!(names(&set), ["a", "b"]);
}

#[test]
fn the_set_comes_in_the_order_of_its_naming() {
    let set = read(&[("10_a.sql", "A"), ("2_b.sql", "B")]).unwrap();
    assert_eq!(set.naming_hint, Some(Naming::Natural));
    assert_eq!(names(&set), ["2_b", "10_a"]);

    let set = read(&[
        ("10.0.0_01_pre_a.sql", "A"),
        ("09.00.00_50_post_b.sql", "B"),
    ])
    .unwrap();
    assert_eq!(set.naming_hint, Some(Naming::Release));
    assert_eq!(names(&set), ["09.00.00_50_post_b", "10.0.0_01_pre_a"]);

    let set = read(&[
        ("2017-09-23-182408_y\\up.sql", "A"),
        ("20140924113530_x/up.sql", "B"),
    ])
    .unwrap();
    assert_eq!(set.naming_hint, Some(Naming::Diesel));
    assert_eq!(names(&set), ["20140924113530_x", "2017-09-23-182408_y"]);

    let set = read(&[("2_y/up.sql", "A"), ("10_x.sql", "B")]).unwrap();
    assert_eq!(set.naming_hint, Some(Naming::Natural));
}

#[test]
fn files_that_cannot_be_placed_are_errors_that_name_them() {
    for (files, message) in [
        (vec![], "no migrations among 0 files"),
        (vec![("x.md", "")], "no migrations among 1 files"),
        (
            vec![("a.down.sql", "A")],
            "file \"a.down.sql\": migration \"a\" has a down and no up",
        ),
        (
            vec![("a.sql", "A"), ("a.up.sql", "A")],
            "migration \"a\" is defined by both \"a.sql\" and \"a.up.sql\"",
        ),
        (
            vec![("a/up.sql", "A"), ("a.sql", "A")],
            "migration \"a\" is defined by both \"a/up.sql\" and \"a.sql\"",
        ),
        (
            vec![("a/up.sql", "A"), ("a.down.sql", "A")],
            "migration \"a\" is defined by both \"a/up.sql\" and \"a.down.sql\"",
        ),
        (
            vec![("migrations/1_a.sql", "A")],
            "file \"migrations/1_a.sql\" stands in a subfolder and is neither \"up.sql\" nor \"down.sql\"",
        ),
        (
            vec![("x/1_a/up.sql", "A")],
            "file \"x/1_a/up.sql\" stands in a subfolder and is neither \"up.sql\" nor \"down.sql\"",
        ),
        (
            vec![("up.sql", "A")],
            "file \"up.sql\" does not stand in a folder that names its migration",
        ),
        (
            vec![("@a.sql", "A")],
            "file \"@a.sql\": migration name \"@a\" begins with \"@\", which is reserved",
        ),
    ] {
        let error = read(&files).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.hint().is_empty());
        assert_eq!(error.line(), None);
    }
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
        let error = read(&[("a.sql", text)]).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.line()), (message, line));
        assert_eq!(error.file(), Some("a.sql"));
        assert!(!error.hint().is_empty());
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
        "file \"a/metadata.toml\", line 2: \"run_in_transaction\" cannot be a string"
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
