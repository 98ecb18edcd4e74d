//! What clients show, and what that means for a post.

use proptest::prelude::*;
use semver::Version;

use super::*;
use crate::naming::parse_release;

fn shop(pattern: &str) -> Pattern {
    Pattern::new(pattern, "shop").unwrap()
}

fn version(text: &str) -> Version {
    parse_release(text).unwrap()
}

#[test]
fn a_release_is_read_where_the_pattern_has_it() {
    for (pattern, shown, release) in [
        ("{project}/{release}", "shop/3.0.2", Some("3.0.2")),
        ("{project}/{release}", "shop/03.00.02", Some("3.0.2")),
        ("{project}/{release}", "shop/3.1.0-rc.1", Some("3.1.0-rc.1")),
        ("{project}/{release}", "shop/3.1.0+build.7", Some("3.1.0")),
        (
            "{project}/{release}",
            "shop/3.0.2 - 10.0.0.1:5432",
            Some("3.0.2"),
        ),
        ("{project}/{release}", "shop/3.0.2/web", None),
        ("{project}/{release}", "shop/3.0", None),
        ("{project}/{release}", "shop/", None),
        ("{project}/{release}", "shop", None),
        ("{project}/{release}", "", None),
        ("{project}/{release}", "Shop/3.0.2", None),
        ("{project}/{release}", "myshop/3.0.2", None),
        ("{project}/{release}", "billing/3.0.2", None),
        ("{release}", "3.0.2", Some("3.0.2")),
        ("web {release}-{project}", "web 3.0.2-shop", Some("3.0.2")),
        (
            "{release}-{project}",
            "3.0.2-rc.1-shop x",
            Some("3.0.2-rc.1"),
        ),
        ("{project}:{release}:", "shop:3.0.2:", Some("3.0.2")),
        ("{project}:{release}:", "shop:3.0.2", None),
    ] {
        let found = shop(pattern).release_of(shown);
        assert_eq!(found, release.map(version), "{pattern}, {shown}");
    }
}

#[test]
fn a_name_that_may_have_been_cut_shows_nothing() {
    let project = "p".repeat(55);
    let pattern = Pattern::new("{project}/{release}", &project).unwrap();
    let cut = format!("{project}/3.1.100");
    assert_eq!(cut.len(), MAX_SHOWN_BYTES);
    assert_eq!(pattern.release_of(&cut), None);
    assert_eq!(
        pattern.release_of(&format!("{project}/3.1.10")),
        Some(Version::new(3, 1, 10))
    );
}

#[test]
fn a_project_with_wide_letters_is_read_as_the_server_spells_it() {
    let pattern = Pattern::new("{project}/{release}", "café").unwrap();
    for shown in ["café/3.0.2", "caf??/3.0.2", "caf\\xc3\\xa9/3.0.2"] {
        assert_eq!(
            pattern.release_of(shown),
            Some(Version::new(3, 0, 2)),
            "{shown}"
        );
    }
}

#[test]
fn a_pattern_has_one_place_for_the_release() {
    let new = |pattern| Pattern::new(pattern, "shop");
    assert_eq!(new("{project}"), Err(PatternError::NoRelease));
    assert_eq!(new("{release}{release}"), Err(PatternError::TwoReleases));
}

#[test]
fn the_gate_is_shut_by_older_releases_and_by_what_the_rules_say() {
    let (old, new) = (
        Shown::Release(version("3.0.2")),
        Shown::Release(version("3.1.0")),
    );
    let candidate = Shown::Release(version("3.1.0-rc.1"));
    let (nothing, other) = (Shown::Nothing, Shown::OtherProject);
    use Source::{Checkin, Sessions};
    use UnknownClients::{Allow, Refuse};
    for (clients, source, unknown, open) in [
        (vec![], Sessions, Allow, true),
        (vec![], Checkin, Allow, false),
        (vec![&new], Checkin, Allow, true),
        (vec![&new, &old], Sessions, Allow, false),
        (vec![&candidate], Sessions, Allow, false),
        (vec![&new, &nothing], Sessions, Allow, true),
        (vec![&new, &nothing], Sessions, Refuse, false),
        (vec![&other], Sessions, Refuse, true),
    ] {
        let rules = Rules { source, unknown };
        let judgement = judge(&version("3.1.0"), &clients, rules);
        assert_eq!(judgement.open, open, "{clients:?}, {rules:?}");
    }
}

fn releases() -> impl Strategy<Value = String> {
    "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(-(rc|beta)\\.[1-9])?"
}

proptest! {
    #[test]
    fn what_a_client_writes_by_the_pattern_is_read_back(
        project in "[a-zé/{} ]{1,12}", release in releases(), pattern in "[a-z]{0,3}(\\{project\\})?[:/ ]?\\{release\\}([:/]x)?",
    ) {
        let shown = pattern.replace("{release}", "\u{1}").replace("{project}", &project).replace('\u{1}', &release);
        // A project may be called {release}; its pattern is then written otherwise.
        prop_assume!(!project.contains("{release}"));
        let found = Pattern::new(&pattern, &project).unwrap().release_of(&shown);
        prop_assert_eq!(found, Some(version(&release)), "{}", shown);
    }

    #[test]
    fn no_application_name_is_too_strange_to_read(shown in "\\PC{0,80}", pattern in "\\PC{0,8}\\{release\\}\\PC{0,8}") {
        if let Ok(pattern) = Pattern::new(&pattern, "shop") {
            let _ = pattern.release_of(&shown);
        }
    }

    #[test]
    fn the_gate_is_open_exactly_where_nobody_older_is_there(clients in proptest::collection::vec(releases(), 0..6), post in releases()) {
        let post = version(&post);
        let shown: Vec<Shown> = clients.iter().map(|text| Shown::Release(version(text))).collect();
        let rules = Rules { source: Source::Sessions, unknown: UnknownClients::Refuse };
        let judgement = judge(&post, &shown.iter().collect::<Vec<_>>(), rules);
        let older = clients.iter().filter(|text| version(text) < post).count();
        prop_assert_eq!(judgement.older.len(), older);
        prop_assert_eq!(judgement.open, older == 0);
    }
}
