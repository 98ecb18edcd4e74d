//! What holds whatever phases and releases are asked for.

use proptest::prelude::*;
use semver::Version;

use super::model::*;
use super::properties::{drive, is_prefix};
use crate::naming::Phase;
use crate::order::Ordering::Strict;
use crate::plan::Request;

const RELEASES: [&str; 6] = [
    "1.0.0_01_pre_a",
    "1.0.0_50_post_b",
    "2.0.0_01_pre_c",
    "2.0.0_02_pre_d",
    "3.0.0_50_post_e",
    "4.0.0_01_pre_f",
];

fn release_requests() -> impl Strategy<Value = Request> {
    let phase = prop::option::of(prop_oneof![Just(Phase::Pre), Just(Phase::Post)]);
    let release = prop::option::of((1..5_u64).prop_map(|major| Version::new(major, 0, 0)));
    let steps = prop::option::of(1..4_u32);
    let narrowed = (phase, release, steps).prop_map(|(phase, release, steps)| Request::Up {
        target: None,
        steps,
        phase,
        release,
    });
    prop_oneof![4 => narrowed, 1 => (1..3_u32).prop_map(down)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn strict_keeps_a_prefix_whatever_phases_and_releases_are_asked_for(
        calls in prop::collection::vec(release_requests(), 1..8),
    ) {
        let mut model = Model::new(Strict, &RELEASES);
        for request in &calls {
            drive(&mut model, request, |state| assert!(is_prefix(state), "{state:?}"));
        }
    }
}
