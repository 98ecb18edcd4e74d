use std::cmp::Ordering;

use proptest::prelude::*;
use semver::Version;

use super::*;
use crate::name::ReleaseRule;

fn before(naming: Naming, first: &str, second: &str) {
    let key = |name| naming.sort_key(name).unwrap();
    assert!(key(first) < key(second), "{first} before {second}");
}

/// What a reader would write: cut into runs, compare run by run. Shares nothing with the keys.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        match (x.first(), y.first()) {
            (None, None) => return leading_zeros(a).cmp(&leading_zeros(b)),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (run_x, rest_x) = digits(x);
                let (run_y, rest_y) = digits(y);
                let value = |run: &[u8]| String::from_utf8(run.to_vec()).unwrap();
                let (vx, vy) = (value(run_x), value(run_y));
                let (vx, vy) = (vx.trim_start_matches('0'), vy.trim_start_matches('0'));
                match vx.len().cmp(&vy.len()).then(vx.cmp(vy)) {
                    Ordering::Equal => (x, y) = (rest_x, rest_y),
                    different => return different,
                }
            }
            (Some(p), Some(q)) if p == q => (x, y) = (&x[1..], &y[1..]),
            (Some(p), Some(q)) => return p.cmp(q),
        }
    }
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|b| b.is_ascii_digit()).count())
}

fn leading_zeros(name: &str) -> Vec<usize> {
    let mut zeros = Vec::new();
    let mut rest = name.as_bytes();
    while !rest.is_empty() {
        let (run, after) = digits(rest);
        if run.is_empty() {
            rest = &rest[1..];
        } else {
            zeros.push(run.iter().take_while(|b| **b == b'0').count());
            rest = after;
        }
    }
    zeros
}

fn diesel_order(a: &str, b: &str) -> Ordering {
    let version = |name: &str| name.split('_').next().unwrap().replace('-', "");
    version(a).cmp(&version(b)).then(a.cmp(b))
}

fn release_order(a: &str, b: &str) -> Ordering {
    let parts = |name: &str| ReleaseName::parse(name).unwrap();
    let (x, y) = (parts(a), parts(b));
    x.release
        .cmp_precedence(&y.release)
        .then(x.number.cmp(&y.number))
        .then(a.cmp(b))
}

#[test]
fn natural_sorts_digit_runs_by_value() {
    let long = "9".repeat(300);
    let longer = "1".to_owned() + &"0".repeat(300);
    for (first, second) in [
        ("2_b", "10_a"),
        ("a2", "a10"),
        ("a", "a1"),
        ("1", "1a"),
        ("1.2", "1.10"),
        ("0", "00"),
        ("1_x", "01_x"),
        ("01_x", "2_x"),
        ("/", "0"),
        ("9", ":"),
        ("20240101", "20240102"),
        (&long, &longer),
        ("2024-01-01-create-table", "2024-01-01.2-update-table"),
        ("A", "a"),
    ] {
        before(Naming::Natural, first, second);
    }
}

#[test]
fn release_sorts_by_semver_then_number_then_name() {
    for (first, second) in [
        ("03.01.00_01_pre_x", "3.1.0_50_post_a"),
        ("3.1.0-rc.1_01_pre_x", "3.1.0-rc.2_01_pre_x"),
        ("3.1.0-rc.2_01_pre_x", "3.1.0-rc.10_01_pre_x"),
        ("3.1.0-1_01_x", "3.1.0-alpha_01_x"),
        ("3.1.0-alpha_01_x", "3.1.0-alpha.1_01_x"),
        ("3.1.0-rc.10_50_post_x", "3.1.0_01_pre_x"),
        ("2.14.1_01_x", "03.00.00_01_pre_x"),
        ("9.0.0_01_x", "10.0.0_01_x"),
        ("1.0.0_2_x", "1.0.0_10_x"),
        ("1.0.0_01_x", "1.0.0_01_y"),
        ("01.0.0_01_x", "1.0.0_01_x"),
    ] {
        before(Naming::Release, first, second);
    }
}

#[test]
fn diesel_sorts_mixed_timestamps_as_diesel_does() {
    for (first, second) in [
        ("20140924113530_x", "2017-09-23-182408_y"),
        ("2017-09-23-182408_y", "20190101000000_a"),
        ("10_a", "2_b"),
        ("00000000000000_diesel_initial_setup", "2017-09-23-182408_y"),
    ] {
        before(Naming::Diesel, first, second);
    }
}

#[test]
fn release_names_are_taken_apart() {
    let name = ReleaseName::parse("03.04.00_50_post_add_retry").unwrap();
    assert_eq!(name.release, Version::new(3, 4, 0));
    assert_eq!((name.number, name.phase), (50, Phase::Post));
    assert_eq!(name.description, "add_retry");
    let old = ReleaseName::parse("00.17.00_02_delete_finished_jobs").unwrap();
    assert_eq!(old.phase, Phase::Pre);
    assert_eq!(old.description, "delete_finished_jobs");
    let preload = ReleaseName::parse("1.0.0_01_preload_x").unwrap();
    assert_eq!(
        (preload.phase, preload.description.as_str()),
        (Phase::Pre, "preload_x")
    );
}

#[test]
fn each_broken_release_rule_has_its_own_error() {
    for (name, rule) in [
        ("users", ReleaseRule::Version),
        ("1.2_01_x", ReleaseRule::Version),
        ("1.2.3.4_01_x", ReleaseRule::Version),
        ("1.x.3_01_x", ReleaseRule::Version),
        ("1.2.+3_01_x", ReleaseRule::Version),
        ("0001_users", ReleaseRule::Version),
        (
            "99999999999999999999.0.0_01_x",
            ReleaseRule::VersionTooLarge,
        ),
        ("1.2.3-_01_x", ReleaseRule::PreRelease),
        ("1.2.3-rc.01_01_x", ReleaseRule::PreRelease),
        ("1.2.3+b_01_x", ReleaseRule::BuildMetadata),
        ("1.2.3", ReleaseRule::Number),
        ("1.2.3_01", ReleaseRule::Number),
        ("1.2.3_x_y", ReleaseRule::Number),
        ("1.2.3_99999999999_y", ReleaseRule::NumberTooLarge),
        ("1.2.3_01_Post_x", ReleaseRule::PhaseCase),
        ("1.2.3_01_pre_", ReleaseRule::Description),
        ("1.2.3_01_post", ReleaseRule::Description),
        ("1.2.3_01_", ReleaseRule::Description),
    ] {
        assert_eq!(
            ReleaseName::parse(name),
            Err(NameError::NotRelease {
                name: name.to_owned(),
                rule
            })
        );
    }
}

#[test]
fn a_release_is_read_as_names_write_it() {
    assert_eq!(parse_release("03.04.00"), Ok(Version::new(3, 4, 0)));
    assert_eq!(parse_release("3.1.0-rc.1").unwrap().pre.as_str(), "rc.1");
    let error = parse_release("3.1").unwrap_err();
    assert_eq!(error.to_string(), "\"3.1\" is not a release");
    assert!(!error.hint().is_empty());
}

#[test]
fn detection_wants_every_name_in_release_form() {
    assert_eq!(Naming::detect([]), Naming::Natural);
    assert_eq!(Naming::detect(["1.0.0_01_x"]), Naming::Release);
    assert_eq!(Naming::detect(["1.0.0_01_x", "2_y"]), Naming::Natural);
    assert_eq!(Naming::detect(["0001_x"]), Naming::Natural);
}

#[test]
fn mixing_is_refused_both_ways() {
    assert!(matches!(
        Naming::Natural.check("1.0.0_01_x"),
        Err(NameError::Mixing { .. })
    ));
    assert!(matches!(
        Naming::Release.check("0001_x"),
        Err(NameError::NotRelease { .. })
    ));
    assert_eq!(Naming::Natural.check("0001_x"), Ok(()));
    assert_eq!(Naming::Release.check("1.0.0_01_x"), Ok(()));
    assert_eq!(Naming::Diesel.check("1.0.0_01_x"), Ok(()));
    assert_eq!(Naming::Diesel.check(""), Err(NameError::Empty));
}

#[test]
fn the_key_of_the_longest_names_fits_an_index() {
    let wide = "😀".repeat(500);
    let mixed: String = "😀1".repeat(250);
    let dashed: String = "😀-".repeat(250);
    for naming in [Naming::Natural, Naming::Diesel] {
        for name in [&wide, &mixed, &dashed, &"1".repeat(500), &"0".repeat(500)] {
            assert!(naming.sort_key(name).unwrap().len() < 2600, "{naming}");
        }
    }
    let release = format!("1.0.0-{}_01_{}", "a.1.".repeat(60) + "a", "😀".repeat(249));
    assert_eq!(release.chars().count(), 500);
    assert!(Naming::Release.sort_key(&release).unwrap().len() < 2600);
}

#[test]
fn words_round_trip() {
    for naming in [Naming::Natural, Naming::Release, Naming::Diesel] {
        assert_eq!(naming.to_string().parse(), Ok(naming));
    }
    for phase in [Phase::Pre, Phase::Post] {
        assert_eq!(phase.to_string().parse(), Ok(phase));
    }
    assert!("Natural".parse::<Naming>().is_err());
    assert!("PRE".parse::<Phase>().is_err());
}

/// Few letters, many collisions: leading zeros, dashes, bytes around the digits, wide characters.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-2a_\\-./:é]{1,10}",
        "[0-9]{1,30}[_-][a-z]{0,3}",
        "0{0,3}[1-9]{0,2}-0{0,3}[1-9]{0,2}_?x?",
    ]
}

fn release_names() -> impl Strategy<Value = String> {
    "0{0,2}[0-3]\\.0?[0-2]\\.0?[0-2](-(a|b1|[1-9][0-9]{0,2})(\\.(a|rc|[0-9]|1[0-9])){0,2})?_0?[1-9][0-9]?_(pre_|post_)?[a-c]{1,3}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn natural_keys_agree_with_the_plain_comparator(a in names(), b in names()) {
        let keys = (Naming::Natural.sort_key(&a).unwrap(), Naming::Natural.sort_key(&b).unwrap());
        prop_assert_eq!(keys.0.cmp(&keys.1), natural_order(&a, &b));
        prop_assert_eq!(keys.0 == keys.1, a == b);
    }

    #[test]
    fn diesel_keys_agree_with_the_plain_comparator(a in names(), b in names()) {
        let keys = (Naming::Diesel.sort_key(&a).unwrap(), Naming::Diesel.sort_key(&b).unwrap());
        prop_assert_eq!(keys.0.cmp(&keys.1), diesel_order(&a, &b));
        prop_assert_eq!(keys.0 == keys.1, a == b);
    }

    #[test]
    fn release_keys_agree_with_the_plain_comparator(a in release_names(), b in release_names()) {
        let keys = (Naming::Release.sort_key(&a).unwrap(), Naming::Release.sort_key(&b).unwrap());
        prop_assert_eq!(keys.0.cmp(&keys.1), release_order(&a, &b));
        prop_assert_eq!(keys.0 == keys.1, a == b);
    }

    #[test]
    fn any_name_that_passes_has_a_key_that_fits(name in "\\PC{1,500}") {
        for naming in [Naming::Natural, Naming::Diesel] {
            if let Ok(key) = naming.sort_key(&name) {
                prop_assert!(key.len() < 2600);
            }
        }
    }
}
