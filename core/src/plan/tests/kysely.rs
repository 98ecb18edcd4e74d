//! The rows of the origin's own tests that are facts of a plan, named by their ids.
//!
//! KY-5 to KY-8 (a migration that was applied is missing from the files) are refused by loading, before
//! there is a plan; what the planner owes them is that it never needs the missing migration's text.

use super::model::*;
use crate::order::Ordering::{Permissive, Strict};
use crate::plan::*;

fn late(newest: &str) -> Obstacle {
    Obstacle::Late {
        newest: newest.to_owned(),
    }
}

#[test]
fn ky_2_up_applies_what_came_since() {
    let mut model = Model::new(Strict, &["1", "2"]);
    assert_eq!(model.run(&up()).unwrap(), ["up 1", "up 2"]);
    model.register(&["3", "4"]);
    assert_eq!(model.run(&up()).unwrap(), ["up 3", "up 4"]);
}

#[test]
fn ky_3_strict_refuses_a_late_arrival_naming_both() {
    let mut model = Model::new(Strict, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2"]);
    let plan = model.plan(&up());
    let (step, obstacle) = plan.first_obstacle().unwrap();
    assert_eq!(*obstacle, late("3"));
    assert_eq!(
        obstacle.message(step),
        "migration \"2\" sorts before \"3\", which is applied already"
    );
    assert!(
        obstacle
            .hint(step, "default")
            .contains("migrate_rename('2', '4')")
    );
    assert!(obstacle.hint(step, "it's").contains("project => 'it''s'"));
}

#[test]
fn ky_4_permissive_applies_a_late_arrival_in_order() {
    let mut model = Model::new(Permissive, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2", "4"]);
    assert_eq!(model.run(&up()).unwrap(), ["up 2", "up 4"]);
}

#[test]
fn ky_5_to_8_the_plan_does_not_need_what_is_applied_to_be_in_the_files() {
    for ordering in [Strict, Permissive] {
        let mut model = Model::new(ordering, &["1", "2", "3"]);
        model.run(&up()).unwrap();
        model.register(&["4"]);
        let facts = model.facts(&up());
        assert!(facts.applied.is_empty());
        assert_eq!(shown(&plan(&up(), &facts).unwrap()), ["up 4"]);
    }
}

#[test]
fn ky_9_after_a_failure_the_next_plan_begins_with_what_failed() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    let first = model.plan(&up());
    model.take(&first.steps[0]);
    assert_eq!(shown(&model.plan(&up())), ["up 2", "up 3"]);
}

#[test]
fn ky_12_to_a_pending_target_goes_up_through_it() {
    let mut model = Model::new(Strict, &["1", "2", "3", "4"]);
    assert_eq!(model.run(&to("2")).unwrap(), ["up 1", "up 2"]);
    assert_eq!(model.run(&to("3")).unwrap(), ["up 3"]);
}

#[test]
fn ky_13_to_none_reverts_everything() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.run(&up()).unwrap();
    assert_eq!(
        model.run(&to("@none")).unwrap(),
        ["down 3", "down 2", "down 1"]
    );
}

#[test]
fn ky_15_to_an_applied_target_reverts_what_came_after_it() {
    let mut model = Model::new(Strict, &["1", "2", "3", "4"]);
    assert_eq!(model.run(&to("4")).unwrap().len(), 4);
    assert_eq!(model.run(&to("2")).unwrap(), ["down 4", "down 3"]);
    assert_eq!(model.plan(&to("2")).already_there.as_deref(), Some("2"));
}

#[test]
fn ky_17_to_none_leaves_what_was_never_applied() {
    let mut model = Model::new(Permissive, &["1", "2", "4"]);
    model.run(&up()).unwrap();
    model.register(&["3"]);
    assert_eq!(
        model.run(&to("@none")).unwrap(),
        ["down 4", "down 2", "down 1"]
    );
}

#[test]
fn ky_19_down_follows_execution_order() {
    let mut model = Model::new(Permissive, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2"]);
    assert_eq!(model.run(&up()).unwrap(), ["up 2"]);
    assert_eq!(model.run(&down(1)).unwrap(), ["down 2"]);
}

#[test]
fn ky_20_one_step_at_a_time_until_nothing_is_left() {
    let mut model = Model::new(Strict, &["1", "2"]);
    assert_eq!(model.run(&up_steps(1)).unwrap(), ["up 1"]);
    assert_eq!(model.run(&up_steps(1)).unwrap(), ["up 2"]);
    assert!(model.run(&up_steps(1)).unwrap().is_empty());
}

#[test]
fn ky_21_one_step_up_is_refused_like_all_of_them() {
    let mut model = Model::new(Strict, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2", "4"]);
    assert_eq!(model.run(&up_steps(1)), Err(late("3")));
}

#[test]
fn ky_22_permissive_takes_late_arrivals_step_by_step() {
    let mut model = Model::new(Permissive, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2", "4"]);
    assert_eq!(model.run(&up_steps(1)).unwrap(), ["up 2"]);
    assert_eq!(model.run(&up_steps(1)).unwrap(), ["up 4"]);
}

#[test]
fn ky_30_down_with_nothing_left_is_empty() {
    let mut model = Model::new(Strict, &["1", "2", "3", "4"]);
    model.run(&up_steps(2)).unwrap();
    assert_eq!(model.run(&down(1)).unwrap(), ["down 2"]);
    assert_eq!(model.run(&down(1)).unwrap(), ["down 1"]);
    assert!(model.run(&down(1)).unwrap().is_empty());
}

#[test]
fn ky_31_strict_reverts_nothing_while_a_late_arrival_is_pending() {
    let mut model = Model::new(Strict, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2"]);
    let plan = model.plan(&down(1));
    let (step, obstacle) = plan.first_obstacle().unwrap();
    assert_eq!(
        obstacle.message(step),
        "migration \"2\" is pending and sorts before \"3\", which is applied already"
    );
    model.ordering = Permissive;
    assert_eq!(model.run(&down(1)).unwrap(), ["down 3"]);
}

#[test]
fn ky_33_names_of_one_moment_are_no_reason_to_run_again() {
    let names = ["2024-01-01-create-table", "2024-01-01.2-update-table"];
    let mut model = Model::new(Strict, &names);
    assert_eq!(model.run(&up()).unwrap().len(), 2);
    assert_eq!(model.plan(&up()), Plan::default());
}
