//! Which files are migrations, and which text is taken from where.

use super::*;
use crate::naming::Naming;

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
            "-- belay: transaction off\n-- belay: lock-timeout 1s\n-- belay: lock-retries 2\n-- belay: privileged\nDROP",
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
    assert_eq!(migration.down_lock_retries, Some(2));
    assert_eq!(migration.directives.privileged, None);
    assert_eq!(migration.down_privileged, Some(true));
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
        "-- belay: transaction off\n-- belay: lock-timeout 1s\n-- belay: lock-retries 2\n-- belay: privileged\n-- migrate:up\nCREATE\n\n-- migrate:down\n-- belay: transaction on\nDROP\n",
    )]);
    assert!(migration.up.ends_with("CREATE\n\n"));
    assert_eq!(
        migration.down.as_deref(),
        Some("-- migrate:down\n-- belay: transaction on\nDROP\n")
    );
    assert_eq!((migration.up_first_line, migration.down_first_line), (1, 8));
    assert_eq!(migration.directives.transaction, Some(false));
    assert_eq!(migration.down_transaction, Some(true));
    assert_eq!(migration.down_lock_timeout_ms, Some(1000));
    assert_eq!(migration.down_lock_retries, Some(2));
    assert_eq!(migration.directives.privileged, Some(true));
    assert_eq!(migration.down_privileged, Some(true));
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
    let migration = one(&[(
        "1.sql",
        "-- migrate:up\n-- belay: privileged\nA\n-- migrate:down\nB",
    )]);
    assert_eq!(migration.directives.privileged, Some(true));
    assert_eq!(migration.down_privileged, None);
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
