//! The policy disjoint: a late arrival runs, and what it touched decides later.

use super::model::*;
use crate::order::Ordering::Disjoint;

/// 1 and 3 applied, 2 late.
fn late() -> Model {
    let mut model = Model::new(Disjoint, &["1", "3"]);
    model.run(&up()).unwrap();
    model.register(&["2", "4"]);
    model
}

#[test]
fn a_late_arrival_runs_and_says_after_what() {
    let mut model = late();
    let plan = model.plan(&up());
    let after: Vec<Option<&str>> = plan
        .steps
        .iter()
        .map(|step| step.late_after.as_deref())
        .collect();
    assert_eq!(after, [Some("3"), None]);
    assert_eq!(model.run(&up()).unwrap(), ["up 2", "up 4"]);
}

#[test]
fn what_is_pending_may_be_left_out() {
    let mut model = late();
    model.edit("2").up_transaction = false;
    assert_eq!(model.run(&down(1)).unwrap(), ["down 3"]);
}

#[test]
fn a_late_arrival_that_cannot_be_taken_back_needs_a_review() {
    let mut model = late();
    model.edit("2").up_transaction = false;
    let plan = model.plan(&up());
    let (step, obstacle) = plan.first_obstacle().unwrap();
    assert_eq!(
        obstacle.message(step),
        "migration \"2\" sorts before \"3\", which is applied already, and runs without a transaction, so that it \
         could not be taken back"
    );
    let hint = obstacle.hint(step, "default");
    assert!(
        hint.contains("SELECT belay.migrate_rename('2', '5')"),
        "{hint}"
    );
    assert!(hint.contains("SELECT belay.migrate_accept_late('2', after => '3', reason => '...')"));
    model.accept("2");
    assert_eq!(model.run(&up()).unwrap(), ["up 2", "up 4"]);
}

#[test]
fn in_its_place_it_needs_none() {
    let mut model = late();
    model.edit("4").up_transaction = false;
    assert_eq!(model.run(&up()).unwrap(), ["up 2", "up 4"]);
}

#[test]
fn down_follows_execution_order() {
    let mut model = late();
    model.run(&up_steps(1)).unwrap();
    assert_eq!(model.run(&down(2)).unwrap(), ["down 2", "down 3"]);
}
