//! New names in release form, rule by rule.

use crate::name::{NameError, ReleaseRule};
use crate::naming::Naming;

/// PR-1 to PR-3: each rule has its own message, and a hint with a name that would do.
#[test]
fn a_new_release_name_keeps_the_rules_and_each_has_its_own_error() {
    for (name, rule, sound) in [
        (
            "1.0.0_1_pre_x",
            ReleaseRule::NumberWidth,
            Some("1.0.0_01_pre_x"),
        ),
        ("1.0.0_001_x", ReleaseRule::NumberWidth, Some("1.0.0_01_x")),
        ("1.0.0_100_post_x", ReleaseRule::NumberWidth, None),
        (
            "1.0.0_00_pre_x",
            ReleaseRule::PreNumber,
            Some("1.0.0_01_pre_x"),
        ),
        ("1.0.0_50_pre_x", ReleaseRule::PreNumber, None),
        ("1.0.0_50_x", ReleaseRule::PreNumber, None),
        (
            "1.0.0_01_post_x",
            ReleaseRule::PostNumber,
            Some("1.0.0_50_post_x"),
        ),
        (
            "1.0.0_49_post_x",
            ReleaseRule::PostNumber,
            Some("1.0.0_98_post_x"),
        ),
        (
            "1.0.0_01_pre_Add_x",
            ReleaseRule::DescriptionCase,
            Some("1.0.0_01_pre_add_x"),
        ),
        (
            "1.0.0_01_pre_add-x",
            ReleaseRule::DescriptionDash,
            Some("1.0.0_01_pre_add_x"),
        ),
        (
            "1.0.0_01_pre_add x",
            ReleaseRule::DescriptionSpace,
            Some("1.0.0_01_pre_add_x"),
        ),
        (
            "1.0.0_01_Post_x",
            ReleaseRule::PhaseCase,
            Some("1.0.0_50_post_x"),
        ),
    ] {
        let error = Naming::Release.check_new(name).unwrap_err();
        let expected = NameError::NotRelease {
            name: name.to_owned(),
            rule,
        };
        assert_eq!(error, expected);
        match sound {
            Some(sound) => assert!(
                error.hint().contains(&format!("'{sound}'")),
                "{}",
                error.hint()
            ),
            None => assert!(
                error.hint().contains("'3.1.0_01_pre_add_column'"),
                "{}",
                error.hint()
            ),
        }
    }
    for name in [
        "1.0.0_01_pre_x",
        "01.00.00_49_x",
        "1.0.0-rc.1_50_post_x",
        "1.0.0_99_post_x_2",
    ] {
        assert_eq!(Naming::Release.check_new(name), Ok(()));
    }
    assert_eq!(Naming::Diesel.check_new("1.0.0_1_pre_x"), Ok(()));
}

/// PR-5: within the rules the order is also that of a plain sort of padded names, pre before post.
#[test]
fn a_pre_sorts_before_the_post_of_its_release() {
    for (pre, post) in [(1, 50), (49, 50), (49, 99)] {
        let key = |name: String| Naming::Release.sort_key(&name).unwrap();
        let (first, second) = (
            format!("01.00.00_{pre:02}_pre_z"),
            format!("01.00.00_{post:02}_post_a"),
        );
        assert!(key(first) < key(second));
    }
}
