//! Which releases' queries a migration of a release has to keep working.
//!
//! Around a `pre` of N the code of the release before it is running; when the last `pre` has run, the code
//! of N may be deployed beside it. Around a `post` of N only N's code is left.

use semver::Version;

use crate::naming::Phase;

/// What is asked of a release's queries after a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// What passed before the migration passes after it.
    Kept,
    /// All of them pass.
    Met,
}

/// Where a migration stands among the releases.
#[derive(Debug, Clone, Copy)]
pub struct Stop<'a> {
    /// Its release.
    pub release: &'a Version,
    /// Its phase.
    pub phase: Phase,
    /// Whether no other migration of the same release and phase is left to be applied.
    pub is_last: bool,
}

/// The releases that are asked, of those that have queries.
#[must_use]
pub fn demands<'a>(
    stop: Stop<'_>,
    releases: impl Iterator<Item = &'a Version>,
) -> Vec<(&'a Version, Demand)> {
    let (mut before, mut own) = (None, None);
    for release in releases {
        match release.cmp_precedence(stop.release) {
            std::cmp::Ordering::Less => before = before.max(Some(release)),
            std::cmp::Ordering::Equal => own = Some(release),
            std::cmp::Ordering::Greater => {}
        }
    }
    match stop.phase {
        Phase::Pre => {
            let own = own.filter(|_| stop.is_last);
            let before = before.map(|release| (release, Demand::Kept));
            before
                .into_iter()
                .chain(own.map(|release| (release, Demand::Met)))
                .collect()
        }
        Phase::Post => own
            .map(|release| (release, Demand::Kept))
            .into_iter()
            .collect(),
    }
}

/// Whether a release's code still counts: it does until a `post` of a later release has run.
#[must_use]
pub fn is_live(release: &Version, contracted_by: Option<&Version>) -> bool {
    contracted_by.is_none_or(|post| release.cmp_precedence(post).is_ge())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        crate::naming::parse_release(text).expect(text)
    }

    fn asked(release: &str, phase: Phase, is_last: bool) -> Vec<(String, Demand)> {
        let release = version(release);
        let known = ["3.1.0", "2.15.1", "3.0.0", "2.9.0", "3.0.0-rc.1"].map(version);
        let stop = Stop {
            release: &release,
            phase,
            is_last,
        };
        demands(stop, known.iter())
            .into_iter()
            .map(|(release, demand)| (release.to_string(), demand))
            .collect()
    }

    fn one(release: &str, demand: Demand) -> (String, Demand) {
        (release.to_owned(), demand)
    }

    #[test]
    fn a_pre_asks_the_newest_release_before_it() {
        let kept = |release| vec![one(release, Demand::Kept)];
        assert_eq!(asked("3.1.0", Phase::Pre, false), kept("3.0.0"));
        assert_eq!(asked("3.0.0", Phase::Pre, false), kept("3.0.0-rc.1"));
        assert_eq!(asked("3.0.0-rc.1", Phase::Pre, false), kept("2.15.1"));
        assert_eq!(asked("2.10.0", Phase::Pre, false), kept("2.9.0"));
        assert_eq!(asked("1.0.0", Phase::Pre, true), []);
    }

    #[test]
    fn the_last_pre_asks_its_own_release_whatever_it_was_before() {
        let both = [one("3.0.0", Demand::Kept), one("3.1.0", Demand::Met)];
        assert_eq!(asked("3.1.0", Phase::Pre, true), both);
        assert_eq!(
            asked("3.2.0", Phase::Pre, true),
            [one("3.1.0", Demand::Kept)]
        );
    }

    #[test]
    fn a_post_asks_its_own_release_only() {
        for is_last in [false, true] {
            let own = [one("3.0.0", Demand::Kept)];
            assert_eq!(asked("3.0.0", Phase::Post, is_last), own);
            assert_eq!(asked("3.2.0", Phase::Post, is_last), []);
        }
    }

    #[test]
    fn a_release_lives_until_a_later_post() {
        let live = |release: &str, post: &str| is_live(&version(release), Some(&version(post)));
        assert!(is_live(&version("1.0.0"), None));
        assert!(live("3.1.0", "3.1.0") && live("3.2.0", "3.1.0"));
        assert!(!live("3.0.2", "3.1.0") && !live("3.1.0-rc.1", "3.1.0"));
    }

    proptest! {
        #[test]
        fn no_later_release_is_asked_and_at_most_one_earlier(
            known in prop::collection::vec((0u64..4, 0u64..4), 0..8),
            of in (0u64..4, 0u64..4),
            post in any::<bool>(),
            is_last in any::<bool>(),
        ) {
            let release = |(major, minor)| Version::new(major, minor, 0);
            let known: Vec<Version> = known.into_iter().map(release).collect();
            let of = release(of);
            let phase = if post { Phase::Post } else { Phase::Pre };
            let asked = demands(Stop { release: &of, phase, is_last }, known.iter());
            prop_assert!(asked.iter().all(|(release, _)| **release <= of));
            let earlier: Vec<_> = asked.iter().filter(|(release, _)| **release < of).collect();
            prop_assert!(earlier.len() <= 1);
            for (found, demand) in earlier {
                prop_assert_eq!(*demand, Demand::Kept);
                prop_assert!(!known.iter().any(|other| *found < other && *other < of));
            }
        }
    }
}
