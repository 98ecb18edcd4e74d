//! Phases, releases and requirements on the way up.

use semver::Version;

use super::model::*;
use crate::naming::Phase;
use crate::order::Ordering::{Permissive, Strict};
use crate::plan::*;

const TWO_RELEASES: [&str; 4] = [
    "1.0.0_01_pre_a",
    "1.0.0_50_post_b",
    "2.0.0_01_pre_c",
    "2.0.0_50_post_d",
];

fn select(phase: Option<Phase>, release: Option<&str>) -> Request {
    Request::Up {
        target: None,
        steps: None,
        phase,
        release: release.map(|text| Version::parse(text).unwrap()),
    }
}

#[test]
fn a_release_takes_everything_up_to_it() {
    let model = Model::new(Strict, &TWO_RELEASES);
    let plan = model.plan(&select(None, Some("1.0.0")));
    assert_eq!(shown(&plan), ["up 1.0.0_01_pre_a", "up 1.0.0_50_post_b"]);
    assert!(
        model
            .plan(&select(None, Some("1.0.0-rc.1")))
            .steps
            .is_empty()
    );
}

#[test]
fn pre_then_post_of_each_release_is_strict() {
    let mut model = Model::new(Strict, &TWO_RELEASES);
    for (phase, release, name) in [
        (Phase::Pre, "1.0.0", "1.0.0_01_pre_a"),
        (Phase::Post, "1.0.0", "1.0.0_50_post_b"),
        (Phase::Pre, "2.0.0", "2.0.0_01_pre_c"),
        (Phase::Post, "2.0.0", "2.0.0_50_post_d"),
    ] {
        let ran = model.run(&select(Some(phase), Some(release))).unwrap();
        assert_eq!(ran, [format!("up {name}")]);
    }
}

#[test]
fn a_pending_post_of_an_older_release_stops_a_later_pre() {
    let mut model = Model::new(Strict, &TWO_RELEASES);
    let plan = model.plan(&select(Some(Phase::Pre), None));
    assert_eq!(shown(&plan), ["up 1.0.0_01_pre_a", "up 2.0.0_01_pre_c"]);
    let stopped = Obstacle::PostPending {
        name: "1.0.0_50_post_b".to_owned(),
        release: Version::new(1, 0, 0),
    };
    assert_eq!(obstacles(&plan), [None, Some(stopped.clone())]);
    assert_eq!(
        stopped.message(&plan.steps[1]),
        "migration \"2.0.0_01_pre_c\" has to wait for the post of release 1.0.0, of which \"1.0.0_50_post_b\" is pending"
    );
    assert_eq!(
        stopped.hint(&plan.steps[1], "shop"),
        "when the code of releases before 1.0.0 has gone: CALL belay.migrate_up(phase => 'post', release => '1.0.0', project => 'shop')"
    );
    model.ordering = Permissive;
    assert_eq!(model.run(&select(Some(Phase::Pre), None)).unwrap().len(), 2);
}

#[test]
fn post_before_its_own_pre_is_refused_in_strict() {
    let model = Model::new(Strict, &TWO_RELEASES);
    let plan = model.plan(&select(Some(Phase::Post), Some("1.0.0")));
    assert!(matches!(
        plan.first_obstacle(),
        Some((_, Obstacle::EarlierPending { .. }))
    ));
}

#[test]
fn phase_and_release_make_no_sense_without_releases() {
    let model = Model::new(Strict, &["1"]);
    for request in [select(Some(Phase::Pre), None), select(None, Some("1.0.0"))] {
        assert_eq!(
            model.error(&request),
            PlanError::NoReleases {
                name: "1".to_owned()
            }
        );
    }
}

#[test]
fn requests_that_make_no_sense_are_errors() {
    let model = Model::new(Strict, &["1"]);
    assert_eq!(model.error(&up_steps(0)), PlanError::NoSteps);
    assert_eq!(model.error(&down(0)), PlanError::NoSteps);
    assert_eq!(model.error(&redo(0)), PlanError::NoSteps);
    assert_eq!(model.error(&up_to("")), PlanError::EmptyTarget);
    assert_eq!(model.error(&up_to("@none")), PlanError::NoneIsNotUp);
    assert_eq!("".parse::<Target>(), Err(PlanError::EmptyTarget));
    for request in [up_to("9"), to("9")] {
        let error = model.error(&request);
        assert_eq!(error.to_string(), "migration \"9\" is not registered");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn an_applied_target_of_an_up_is_an_empty_plan_that_says_so() {
    let mut model = Model::new(Strict, &["1", "2"]);
    model.run(&up_steps(1)).unwrap();
    let plan = model.plan(&up_to("1"));
    assert_eq!(plan.already_there.as_deref(), Some("1"));
    assert!(plan.steps.is_empty());
}

#[test]
fn requirements_must_be_applied_or_run_before() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.edit("2").requires = vec!["1".to_owned()];
    assert_eq!(model.run(&up()).unwrap().len(), 3);

    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.edit("1").requires = vec!["3".to_owned()];
    model.edit("2").requires = vec!["missing".to_owned()];
    let name = |name: &str| name.to_owned();
    assert_eq!(
        obstacles(&model.plan(&up())),
        [
            Some(Obstacle::RequirementPending { name: name("3") }),
            Some(Obstacle::RequirementUnknown {
                name: name("missing")
            }),
            None
        ]
    );
}

#[test]
fn nothing_pending_needs_no_facts_about_what_is_applied() {
    assert_eq!(up().applied_wanted(), AppliedWanted::Nothing);
    let facts = Facts {
        newest_applied: Some(("9999".to_owned(), vec![1])),
        ..Facts::empty(Strict)
    };
    assert_eq!(plan(&up(), &facts), Ok(Plan::default()));
}
