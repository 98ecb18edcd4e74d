use super::*;

#[test]
fn what_differs_in_its_sql_is_changed_and_what_differs_in_its_layout_is_not() {
    let up = "CREATE TABLE t ()";
    let base = texts(&[("1.up.sql", up), ("1.down.sql", "DROP TABLE t")]);
    let both = "-- migrate:up\nCREATE TABLE t ();\n-- migrate:down\nDROP TABLE t;\n";
    type Texts<'a> = &'a [(&'a str, &'a str)];
    let table: [(Texts<'_>, Option<&str>); 6] = [
        (
            &[("1.up.sql", up), ("1.down.sql", "DROP TABLE t -- now")],
            None,
        ),
        (&[("1.sql", both)], None),
        (
            &[
                ("1.up.sql", "CREATE TABLE u ()"),
                ("1.down.sql", "DROP TABLE t"),
            ],
            Some("the up differs from that of base"),
        ),
        (
            &[("1.up.sql", up), ("1.down.sql", "DROP TABLE t CASCADE")],
            Some("the down differs from that of base"),
        ),
        (&[("1.up.sql", up)], Some("head has no down")),
        (
            &[("1.sql", "CREATE TABLE u ()")],
            Some("the up differs from that of base, head has no down"),
        ),
    ];
    for (head, detail) in table {
        let found = check(&base, &texts(head)).unwrap();
        let details: Vec<_> = found
            .iter()
            .map(|found| (found.problem, found.detail.as_str()))
            .collect();
        let expected: Vec<_> = detail
            .iter()
            .map(|told| (Problem::Changed, *told))
            .collect();
        assert_eq!(details, expected);
    }
    let found = check(&texts(&[("1.sql", up)]), &base).unwrap();
    assert_eq!(found[0].detail, "head adds a down");
}

#[test]
fn what_head_lost_is_missing_and_a_rename_is_told() {
    let base = files(&["1_a", "2_b"]);
    let found = check(&base, &files(&["1_a"])).unwrap();
    assert_eq!(rows(&found), [("2_b", Problem::Missing, None)]);
    assert_eq!(found[0].detail, "base has it, head does not");
    let renamed = texts(&[("1_a.sql", "SELECT '1_a'"), ("3_b.sql", "SELECT '2_b' ;")]);
    let found = check(&base, &renamed).unwrap();
    assert_eq!(rows(&found), [("2_b", Problem::Missing, None)]);
    assert_eq!(found[0].detail, "renamed to \"3_b\"");
    let found = check(&base, &Files::new()).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn the_naming_is_that_of_base_or_as_it_is_given() {
    let directories = |names: &[&str]| -> Files {
        let file = |name: &&str| (format!("{name}/up.sql"), format!("SELECT '{name}'"));
        names.iter().map(file).collect()
    };
    // As strings, 10 sorts before 2.
    let found = check(
        &directories(&["1_a", "2_b"]),
        &directories(&["1_a", "2_b", "10_c"]),
    );
    assert_eq!(
        rows(&found.unwrap()),
        [("10_c", Problem::Late, Some("3_c"))]
    );
    let (base, head) = (files(&["1_a", "2_b"]), files(&["1_a", "2_b", "10_c"]));
    assert_eq!(check(&base, &head).unwrap(), []);
    let (base, head) = (sources(&base), sources(&head));
    let comparison = Comparison {
        base: &base,
        head: &head,
        naming: Some(Naming::Diesel),
        ..Comparison::default()
    };
    assert_eq!(comparison.findings().unwrap().len(), 1);
}

#[test]
fn a_side_that_cannot_be_read_is_named_with_its_file() {
    let sound = files(&["1_a"]);
    let broken = texts(&[("1_a.sql", "SELECT '")]);
    for (base, head, expected) in [
        (&broken, &sound, "base: file \"1_a.sql\", line 1: "),
        (&sound, &broken, "head: file \"1_a.sql\", line 1: "),
    ] {
        let error = check(base, head).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_name_that_the_project_would_refuse_is_refused_with_its_side() {
    for (base, head, expected) in [
        (
            "1.0.0_01_a",
            "0002_b",
            "head: file \"0002_b.sql\": migration name \"0002_b\" is not in release form",
        ),
        (
            "0002_b",
            "1.0.0_01_a",
            "head: file \"1.0.0_01_a.sql\": migration name \"1.0.0_01_a\" is in release form",
        ),
    ] {
        let error = check(&files(&[base]), &files(&[base, head])).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let (base, head) = (files(&["0001_a"]), files(&["0001_a"]));
    let comparison = Comparison {
        base: &sources(&base),
        head: &sources(&head),
        naming: Some(Naming::Release),
        ..Comparison::default()
    };
    let error = comparison.findings().unwrap_err();
    assert!(error.to_string().starts_with("base: file"), "{error}");
}

#[test]
fn two_sides_without_a_migration_are_a_mistake() {
    let error = check(&Files::new(), &texts(&[("README.md", "")])).unwrap_err();
    assert_eq!(error, CheckError::Empty);
}

#[test]
fn what_was_renamed_and_is_late_by_it_gets_its_name_back() {
    let base = files(&["1_a", "3_c", "5_e"]);
    let mut head = files(&["1_a", "2_b", "3_c"]);
    head.push(("4_e.sql".to_owned(), "SELECT '5_e'".to_owned()));
    let found = check(&base, &head).unwrap();
    assert_eq!(
        rows(&found),
        [
            ("2_b", Problem::Late, Some("6_b")),
            ("4_e", Problem::Late, Some("5_e")),
            ("5_e", Problem::Missing, None)
        ]
    );
    assert!(found[1].detail.ends_with("; it is \"5_e\" of base"));
}
