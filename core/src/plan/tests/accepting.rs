//! What a review changes: a late arrival that was accepted runs, and goes again.

use super::model::*;
use crate::order::Ordering::{Disjoint, Strict};
use crate::plan::*;

/// 1 and 3 applied, 2 late.
fn late() -> Model {
    let mut model = Model::new(Strict, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2"]);
    model
}

fn after_3() -> Obstacle {
    Obstacle::Late {
        newest: "3".to_owned(),
    }
}

#[test]
fn an_accepted_late_arrival_runs_and_says_after_what() {
    let mut model = late();
    model.accept("2");
    let plan = model.plan(&up());
    assert_eq!(plan.steps[0].late_after.as_deref(), Some("3"));
    assert_eq!(model.run(&up()).unwrap(), ["up 2"]);
}

#[test]
fn an_accepted_late_arrival_comes_before_what_is_pending_after_it() {
    let mut model = late();
    model.accept("2");
    model.register(&["4"]);
    assert_eq!(
        model.plan(&up()).steps[1].late_after,
        None,
        "4 is in its place"
    );
    assert_eq!(model.run(&up()).unwrap(), ["up 2", "up 4"]);
}

#[test]
fn an_acceptance_of_one_is_no_acceptance_of_another() {
    let mut model = late();
    model.register(&["0"]);
    model.accept("2");
    let zero_is_late = Some(after_3());
    assert_eq!(obstacles(&model.plan(&up())), [zero_is_late, None]);
    model.reviewed.clear();
    model.accept("0");
    assert_eq!(obstacles(&model.plan(&up())), [None, Some(after_3())]);
}

#[test]
fn an_accepted_late_arrival_that_is_left_out_is_pending_like_any_other() {
    let names = ["1.0.0_01_pre_a", "2.0.0_01_pre_d"];
    let mut model = Model::new(Strict, &names);
    model.run(&up()).unwrap();
    model.register(&["1.0.0_50_post_b", "3.0.0_01_pre_e"]);
    model.accept("1.0.0_50_post_b");
    let pre = Request::Up {
        target: None,
        steps: None,
        phase: Some(crate::naming::Phase::Pre),
        release: None,
    };
    assert_eq!(
        obstacles(&model.plan(&pre)),
        [Some(Obstacle::PostPending {
            name: "1.0.0_50_post_b".to_owned(),
            release: semver::Version::new(1, 0, 0),
        })]
    );
}

#[test]
fn an_acceptance_ends_when_more_is_applied_after_its_place() {
    let mut model = late();
    model.accept("2");
    model.register(&["4"]);
    model.applied.push("4".to_owned());
    let plan = model.plan(&up());
    let (step, obstacle) = plan.first_obstacle().unwrap();
    assert_eq!(
        obstacle.message(step),
        "migration \"2\" sorts before \"4\", which is applied already; it was accepted after \"another\", \
         and more has been applied since then"
    );
}

#[test]
fn an_acceptance_does_not_reach_beyond_what_has_begun() {
    let mut model = late();
    model.accept("2");
    model.register(&["4"]);
    model.unfinished = Some(Unfinished {
        name: "4".to_owned(),
        direction: Direction::Up,
        next_statement: 2,
    });
    let late = Obstacle::Late {
        newest: "4".to_owned(),
    };
    assert_eq!(obstacles(&model.plan(&up())), [None, Some(late)]);
}

#[test]
fn an_accepted_late_arrival_is_reverted_first_and_leaves_what_it_came_after() {
    let mut model = late();
    model.accept("2");
    model.run(&up()).unwrap();
    assert_eq!(model.run(&down(1)).unwrap(), ["down 2"]);
    assert_eq!(model.run(&up()).unwrap(), ["up 2"], "the review stands");
    assert_eq!(
        model.run(&to("@none")).unwrap(),
        ["down 2", "down 3", "down 1"]
    );
}

#[test]
fn what_is_late_and_accepted_keeps_nothing_from_being_reverted() {
    let mut model = late();
    assert_eq!(
        obstacles(&model.plan(&down(1))),
        [Some(Obstacle::OutOfOrder {
            late: "2".to_owned(),
            newest: "3".to_owned()
        })]
    );
    model.accept("2");
    assert_eq!(model.run(&down(1)).unwrap(), ["down 3"]);
}

#[test]
fn a_late_arrival_that_nobody_accepted_is_found_behind_one_that_was() {
    let mut model = late();
    model.register(&["2a"]);
    model.accept("2");
    assert_eq!(
        obstacles(&model.plan(&down(1))),
        [Some(Obstacle::OutOfOrder {
            late: "2a".to_owned(),
            newest: "3".to_owned()
        })]
    );
}

#[test]
fn redo_under_a_policy_brings_everything_into_its_place() {
    for ordering in [Strict, Disjoint] {
        let mut model = late();
        model.ordering = ordering;
        model.accept("2");
        model.run(&up()).unwrap();
        assert_eq!(model.run(&redo(1)).unwrap(), ["down 2", "up 2"]);
        assert_eq!(
            model.run(&redo(2)).unwrap(),
            ["down 2", "down 3", "up 2", "up 3"]
        );
    }
}

#[test]
fn strict_redo_does_not_pass_an_accepted_one_that_is_pending() {
    let mut model = late();
    model.accept("2");
    assert_eq!(
        obstacles(&model.plan(&redo(1))),
        [
            None,
            Some(Obstacle::EarlierPending {
                name: "2".to_owned()
            })
        ]
    );
}

#[test]
fn the_hint_names_the_next_free_name_and_the_review() {
    let mut model = late();
    model.register(&["0"]);
    let plan = model.plan(&up());
    let hints: Vec<String> = plan
        .steps
        .iter()
        .map(|step| step.obstacle.as_ref().unwrap().hint(step, "default"))
        .collect();
    assert!(hints[0].contains("SELECT belay.migrate_rename('0', '4')"));
    assert!(hints[1].contains("SELECT belay.migrate_rename('2', '5')"));
    let review = "SELECT belay.migrate_accept_late('2', after => '3', reason => '...')";
    assert!(hints[1].contains(review), "{}", hints[1]);
    let back = model.plan(&down(1));
    let (step, obstacle) = back.first_obstacle().unwrap();
    let hint = obstacle.hint(step, "shop");
    assert!(hint.contains("SELECT belay.migrate_rename('0', '4', project => 'shop')"));
    assert!(hint.contains("CALL belay.migrate_down(ordering => 'permissive'"));
}
