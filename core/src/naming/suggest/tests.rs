use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::naming::parse_release;

fn suggested(naming: Naming, late: &str, newest: &str) -> String {
    naming
        .next_free_name(late, newest, None, |name| name == late || name == newest)
        .unwrap()
}

#[test]
fn a_natural_name_gets_the_next_number_of_the_newest_and_keeps_its_description() {
    for (late, newest, expected) in [
        ("0002_b", "0003_c", "0004_b"),
        ("0002_b", "0009_c", "0010_b"),
        ("2_b", "9_x", "10_b"),
        ("02_b", "99_x", "100_b"),
        ("migration2", "migration3", "migration4"),
        ("migration2", "migration3_c", "migration4"),
        ("migration2_b", "migration3", "migration4_b"),
        ("mig_0002_b", "mig_0003_c", "mig_0004_b"),
        ("a_long_word_2_b", "a_long_word_3_c", "a_long_word_4_b"),
        ("V2__b", "V3__c", "V4__b"),
        ("V1_1__b", "V1_9__c", "V1_10__b"),
        ("v2__b", "0003_c", "0004_b"),
        ("0002_b", "V3__c", "V4__b"),
        ("0002-b", "0003_c", "0004_b"),
        ("0002b", "0003c", "0004b"),
        ("0002_b", "0003c", "0004_b"),
        ("1.2.b", "1.9.c", "1.10.b"),
        ("0002_2fa", "0003_c", "0004_2fa"),
        ("0002_b", "0003_2_columns", "0004_b"),
        ("oauth2_scopes", "0003_c", "0004_oauth2_scopes"),
        ("b", "0003_c", "0004_b"),
        ("0001.2_b", "0003_c", "0004_b"),
    ] {
        assert_eq!(
            suggested(Naming::Natural, late, newest),
            expected,
            "{late}, {newest}"
        );
    }
}

#[test]
fn dates_and_timestamps_go_on_by_the_calendar() {
    for (late, newest, expected) in [
        ("20231231120000_b", "20240101120000_c", "20240101120001_b"),
        ("20231231120000_b", "20240101125959_c", "20240101130000_b"),
        ("20231231120000_b", "20241231235959_c", "20250101000000_b"),
        ("202312311200_b", "202401012359_c", "202401020000_b"),
        ("20230101_b", "20240131_c", "20240201_b"),
        ("2024-01-04-b", "2024-01-05-c", "2024-01-06-b"),
        ("2024-01-04-b", "2024-02-28-c", "2024-02-29-b"),
        ("2024-01-04-b", "2023-02-28-c", "2023-03-01-b"),
        ("2024-01-04-b", "2100-02-28-c", "2100-02-29-b"),
        (
            "2024-01-01-create-table",
            "2024-01-01.2-update-table",
            "2024-01-01.3-create-table",
        ),
        (
            "2024_01_05_120000_b",
            "2024_01_05_235959_c",
            "2024_01_06_000000_b",
        ),
        ("20240230_b", "20240231_c", "20240232_b"),
        ("1700000000_b", "1700000009_c", "1700000010_b"),
    ] {
        assert_eq!(
            suggested(Naming::Natural, late, newest),
            expected,
            "{late}, {newest}"
        );
    }
}

#[test]
fn behind_a_newest_without_a_number_comes_its_whole_name() {
    for (late, newest, expected) in [
        ("0002_b", "seed", "seed_b"),
        ("a", "b", "b_a"),
        ("0002", "seed", "seed_0002"),
        ("0002_b", "add_2fa", "add_2fa_b"),
        ("0002_b", "add_the_oauth2_scopes", "add_the_oauth2_scopes_b"),
    ] {
        assert_eq!(
            suggested(Naming::Natural, late, newest),
            expected,
            "{late}, {newest}"
        );
    }
}

#[test]
fn a_release_name_gets_the_next_number_of_the_release_and_keeps_its_phase() {
    for (late, newest, release, expected) in [
        ("3.1.0_01_pre_b", "3.1.0_02_pre_c", None, "3.1.0_03_pre_b"),
        ("3.1.0_01_pre_b", "3.1.0_50_post_c", None, "3.2.0_01_pre_b"),
        ("3.1.0_01_pre_b", "3.1.0_49_pre_c", None, "3.2.0_01_pre_b"),
        ("3.0.0_57_post_b", "3.1.0_09_pre_c", None, "3.1.0_50_post_b"),
        (
            "3.0.0_57_post_b",
            "3.1.0_99_post_c",
            None,
            "3.2.0_50_post_b",
        ),
        (
            "3.0.0_01_pre_b",
            "3.1.0-rc.1_50_post_c",
            None,
            "3.1.0_01_pre_b",
        ),
        (
            "3.0.0_1_pre_Add-b",
            "3.1.0_009_pre_c",
            None,
            "3.1.0_10_pre_add_b",
        ),
        ("3.0.0_07_b", "03.01.00_02_pre_c", None, "03.01.00_03_b"),
        (
            "3.0.0_07_pre_b",
            "03.01.00_02_pre_c",
            Some("3.1.0"),
            "03.01.00_03_pre_b",
        ),
        (
            "3.0.0_07_pre_b",
            "03.01.00_02_pre_c",
            Some("3.2.0"),
            "03.02.00_01_pre_b",
        ),
        (
            "3.0.0_07_pre_b",
            "3.1.0-rc.1_02_pre_c",
            Some("3.1.0"),
            "3.1.0_01_pre_b",
        ),
        (
            "3.0.0_07_pre_b",
            "3.1.0_002_pre_c",
            Some("3.2.0-rc.1"),
            "3.2.0-rc.1_01_pre_b",
        ),
    ] {
        let release = release.map(|text| parse_release(text).unwrap());
        let found = Naming::Release.next_free_name(late, newest, release.as_ref(), |_| false);
        assert_eq!(found.as_deref(), Some(expected), "{late}, {newest}");
    }
}

#[test]
fn a_release_before_the_newest_has_no_free_name() {
    let release = parse_release("3.0.0").unwrap();
    let found =
        Naming::Release.next_free_name("3.0.0_01_b", "3.1.0_01_c", Some(&release), |_| false);
    assert_eq!(found, None);
}

#[test]
fn a_diesel_name_gets_the_next_version_in_the_look_of_the_newest() {
    for (late, newest, expected) in [
        (
            "2017-09-22-182408_b",
            "2017-09-23-182408_c",
            "2017-09-23-182409_b",
        ),
        (
            "2017-09-22-182408_b",
            "20171231235959_c",
            "20180101000000_b",
        ),
        ("1_b", "2_c", "3_b"),
        ("8_b", "9_c", "91_b"),
        ("a_b", "z_c", "z1_b"),
        ("1", "2_c", "3"),
    ] {
        assert_eq!(
            suggested(Naming::Diesel, late, newest),
            expected,
            "{late}, {newest}"
        );
    }
}

#[test]
fn names_that_are_taken_are_passed_over() {
    let free = |naming: Naming, late, newest, taken: &[&str]| {
        naming
            .next_free_name(late, newest, None, |name| taken.contains(&name))
            .unwrap()
    };
    let natural = free(Naming::Natural, "0002_b", "0003_c", &["0004_b", "0005_b"]);
    assert_eq!(natural, "0006_b");
    let behind = free(Naming::Natural, "b", "seed", &["seed_b"]);
    assert_eq!(behind, "seed_2_b");
    let release = free(Naming::Release, "1.0.0_01_b", "1.0.0_02_c", &["1.0.0_03_b"]);
    assert_eq!(release, "1.0.0_04_b");
    let diesel = free(Naming::Diesel, "8_b", "9_c", &["91_b"]);
    assert_eq!(diesel, "92_b");
}

#[test]
fn where_all_are_taken_or_too_long_there_is_none() {
    for naming in [Naming::Natural, Naming::Diesel] {
        assert_eq!(naming.next_free_name("1_b", "2_c", None, |_| true), None);
    }
    let release = Naming::Release.next_free_name("1.0.0_01_b", "1.0.0_02_c", None, |_| true);
    assert_eq!(release, None);
    let long = "x".repeat(500);
    assert_eq!(
        Naming::Natural.next_free_name(&long, "0003_c", None, |_| false),
        None
    );
    let last = "1.0.0_4294967295_c";
    assert_eq!(
        Naming::Release.next_free_name("1.0.0_01_b", last, None, |_| false),
        None
    );
}

#[test]
fn a_name_in_release_form_is_not_suggested_to_a_natural_project_unless_it_holds_such() {
    let fallback = suggested(Naming::Natural, "v1_5_b", "1.0.0_x");
    assert_eq!(fallback, "1.0.0_x_5_b");
    let declared = suggested(Naming::Natural, "1.0.0_01_b", "1.0.0_02_c");
    assert_eq!(declared, "1.0.1_01_b");
}

/// Names as people write them, and others.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "(V|v|m_|)[0-9]{1,4}(_|__|-|\\.|)[a-c]{0,3}",
        "20(19|24)-?(0[1-9]|1[0-2])-?([0-2][0-9]|3[01])[-_.]([0-9]{1,2}|)[-_]?[ab]{0,2}",
        "20(19|24)(0[1-9]|1[0-2])([0-2][0-9]|3[01])[0-9]{6}_[ab]{1,2}",
        "[0-9a-c_.é -]{1,8}",
        "\\PC{1,20}",
    ]
}

fn release_names() -> impl Strategy<Value = String> {
    "0?[0-3]\\.0?[0-2]\\.0?[0-2](-rc\\.[1-3])?_0?[1-9][0-9]?_(pre_|post_)?[a-c]{1,3}"
}

/// What every suggestion promises.
fn holds(naming: Naming, late: &str, newest: &str, taken: &BTreeSet<String>) -> bool {
    let Some(name) = naming.next_free_name(late, newest, None, |name| taken.contains(name)) else {
        return false;
    };
    let exempt = naming.check(late).is_err();
    let key = |name: &str| naming.sort_key(name).unwrap();
    key(&name) > key(newest) && (exempt || naming.check(&name).is_ok()) && !taken.contains(&name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The first suggestions are taken, so that the next ones are looked at, too.
    #[test]
    fn a_suggestion_sorts_after_the_newest_and_is_a_free_name(
        late in names(), newest in names(), taken in 0..4usize
    ) {
        for naming in [Naming::Natural, Naming::Diesel] {
            if naming.check(&late).is_err() || naming.check(&newest).is_err() {
                continue;
            }
            let mut set = BTreeSet::from([late.clone(), newest.clone()]);
            for _ in 0..=taken {
                prop_assert!(holds(naming, &late, &newest, &set), "{naming}");
                let name = naming.next_free_name(&late, &newest, None, |name| set.contains(name));
                set.extend(name);
            }
        }
    }

    #[test]
    fn a_suggestion_of_a_release_does_so_too(late in release_names(), newest in release_names()) {
        let set = BTreeSet::from([late.clone(), newest.clone()]);
        prop_assert!(holds(Naming::Release, &late, &newest, &set));
    }
}
