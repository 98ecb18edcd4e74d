use super::*;
use crate::naming::parse_release;

#[test]
fn what_is_new_and_sorts_before_the_newest_of_base_is_late_and_gets_the_next_free_name() {
    type Late<'a> = &'a [(&'a str, &'a str)];
    let table: [(&[&str], &[&str], Late<'_>); 9] = [
        (&["1_a", "3_c"], &["1_a", "2_b", "3_c"], &[("2_b", "4_b")]),
        (&["1_a"], &["1_a", "2_b"], &[]),
        (&["1_a"], &["1_a"], &[]),
        (&[], &["1_a"], &[]),
        // Consecutive names, in their order.
        (
            &["1_a", "5_e"],
            &["1_a", "2_b", "3_c", "5_e"],
            &[("2_b", "6_b"), ("3_c", "7_c")],
        ),
        // The second of two branches to be merged with the same number.
        (
            &["3_c", "4_x"],
            &["3_c", "4_mine", "4_x"],
            &[("4_mine", "5_mine")],
        ),
        // Between base and what else is new, where there is room.
        (
            &["20240101_a", "20240110_c"],
            &["20240101_a", "20240105_b", "20240110_c", "20240120_d"],
            &[("20240105_b", "20240111_b")],
        ),
        // After all, where there is none.
        (
            &["1_a", "3_c"],
            &["1_a", "2_b", "3_c", "4_d"],
            &[("2_b", "5_b")],
        ),
        (
            &["1.0.0_01_pre_a", "1.0.0_50_post_b"],
            &["1.0.0_01_pre_a", "1.0.0_02_pre_x", "1.0.0_50_post_b"],
            &[("1.0.0_02_pre_x", "1.1.0_01_pre_x")],
        ),
    ];
    for (base, head, late) in table {
        let expected: Vec<_> = late
            .iter()
            .map(|(name, new)| (*name, Problem::Late, Some(*new)))
            .collect();
        assert_eq!(
            rows(&check_names(base, head)),
            expected,
            "{base:?}, {head:?}"
        );
    }
}

#[test]
fn the_detail_of_a_late_one_names_the_newest_of_base() {
    let found = check_names(&["1_a", "3_c"], &["1_a", "2_b", "3_c"]);
    assert_eq!(found[0].detail, "sorts before \"3_c\", the newest of base");
}

#[test]
fn where_the_new_name_puts_it_after_another_new_one_the_detail_says_so() {
    let found = check_names(&["1_a", "3_c"], &["1_a", "2_b", "3_c", "4_d"]);
    assert!(
        found[0].detail.contains("\"4_d\" is new, too"),
        "{}",
        found[0].detail
    );
    let found = check_names(
        &["20240101_a", "20240110_c"],
        &["20240101_a", "20240105_b", "20240110_c", "20240120_d"],
    );
    assert!(!found[0].detail.contains("new, too"), "{}", found[0].detail);
}

#[test]
fn the_suggested_names_leave_nothing_late() {
    let base = ["0001_a", "0003_c", "0004_d"];
    let head = ["0001_a", "0002_b", "0003_b", "0003_c", "0004_d", "0005_e"];
    let found = check_names(&base, &head);
    let renamed: Vec<&str> = head
        .iter()
        .map(|name| {
            let of = |found: &&Finding| found.name == *name;
            let found = found.iter().find(of);
            found.map_or(*name, |found| found.suggested_name.as_deref().unwrap())
        })
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!(check_names(&base, &renamed), []);
}

#[test]
fn a_migration_that_names_a_late_one_is_named() {
    let mut head = files(&["1_a", "2_b", "3_c"]);
    head.push((
        "4_d.sql".to_owned(),
        "-- belay: requires 2_b\nSELECT 4".to_owned(),
    ));
    let found = check(&files(&["1_a", "3_c"]), &head).unwrap();
    assert!(
        found[0].detail.contains("\"4_d\" names it in a directive"),
        "{}",
        found[0].detail
    );
}

#[test]
fn findings_come_in_the_order_of_the_names() {
    let mut base = files(&["1_a", "9_i", "10_j", "11_k"]);
    let head = files(&["1_a", "9_i", "2_b", "11_k"]);
    base[1].1 = "SELECT 9".to_owned();
    let found = check(&base, &head).unwrap();
    assert_eq!(
        rows(&found),
        [
            ("2_b", Problem::Late, Some("12_b")),
            ("9_i", Problem::Changed, None),
            ("10_j", Problem::Missing, None)
        ]
    );
}

#[test]
fn a_release_is_for_release_names_and_not_older_than_the_newest() {
    let release = parse_release("1.1.0").unwrap();
    let found = |base: &[&str], head: &[&str]| {
        let (base, head) = (files(base), files(head));
        let (base, head) = (sources(&base), sources(&head));
        Comparison {
            base: &base,
            head: &head,
            release: Some(&release),
            ..Comparison::default()
        }
        .findings()
    };
    let base = ["1.0.0_01_a", "1.0.0_03_c"];
    let head = ["1.0.0_01_a", "1.0.0_02_pre_b", "1.0.0_03_c"];
    assert_eq!(
        rows(&found(&base, &head).unwrap()),
        [("1.0.0_02_pre_b", Problem::Late, Some("1.1.0_01_pre_b"))]
    );
    let error = found(&["1_a"], &["1_a"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a release is given, but the naming is \"natural\""
    );
    let error = found(&["1.2.0_01_a"], &["1.2.0_01_a"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "release 1.1.0 is older than 1.2.0, the release of the newest migration"
    );
}

#[test]
fn a_summary_counts_names_the_first_and_says_what_to_do() {
    assert_eq!(Summary::of(&[]), None);
    let one = check_names(&["1_a", "3_c"], &["1_a", "2_b", "3_c"]);
    let summary = Summary::of(&one).unwrap();
    assert_eq!(
        summary.message,
        "head does not follow base: migration \"2_b\" is late"
    );
    assert_eq!(summary.hint, "rename \"2_b\" to \"4_b\"");
    let two = check_names(&["1_a", "3_c"], &["2_b", "3_c"]);
    let summary = Summary::of(&two).unwrap();
    assert_eq!(
        summary.message,
        "head does not follow base: 2 problems, the first: migration \"1_a\" is missing"
    );
    assert_eq!(
        summary.detail,
        "1_a: missing, base has it, head does not\n2_b: late, sorts before \"3_c\", the newest of base"
    );
    assert_eq!(
        summary.hint,
        "rename \"2_b\" to \"4_b\"; merge base into head, or restore \"1_a\" as base has it"
    );
}
