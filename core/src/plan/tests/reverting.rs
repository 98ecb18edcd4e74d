//! What may not be reverted, and what is said about it.

use super::model::*;
use crate::order::Ordering::{Permissive, Strict};
use crate::plan::*;

fn applied(names: &[&str]) -> Model {
    let mut model = Model::new(Strict, names);
    model.run(&up()).unwrap();
    model
}

#[test]
fn a_project_can_forbid_downs() {
    let mut model = applied(&["1"]);
    model.allow_down = false;
    for request in [down(1), redo(1), to("@none")] {
        assert_eq!(model.run(&request), Err(Obstacle::DownsForbidden));
    }
}

#[test]
fn a_missing_down_is_found_before_anything_runs() {
    let mut model = applied(&["1", "2", "3"]);
    model.edit("1").reversible = false;
    let plan = model.plan(&down(5));
    assert_eq!(obstacles(&plan), [None, None, Some(Obstacle::NoDown)]);
    assert_eq!(model.run(&down(2)).unwrap(), ["down 3", "down 2"]);
}

#[test]
fn what_is_required_stays_until_its_requirer_is_gone() {
    let mut model = Model::new(Permissive, &["1", "2"]);
    model.edit("1").requires = vec!["2".to_owned()];
    // Declared after the fact: 1 was applied before what it requires.
    model.applied = vec!["1".to_owned(), "2".to_owned()];
    assert_eq!(
        obstacles(&model.plan(&down(2))),
        [
            Some(Obstacle::RequiredBy {
                name: "1".to_owned()
            }),
            None
        ]
    );
    model.applied.reverse();
    assert_eq!(model.run(&down(2)).unwrap(), ["down 1", "down 2"]);
}

#[test]
fn an_indivisible_pair_is_not_split_whichever_side_declares_it() {
    for (side, partner) in [("1", "3"), ("3", "1")] {
        let mut model = applied(&["1", "2", "3", "4"]);
        model.pair(side, partner, true);
        assert_eq!(model.run(&down(1)).unwrap(), ["down 4"]);
        let plan = model.plan(&down(1));
        let (step, obstacle) = plan.first_obstacle().unwrap();
        assert_eq!(
            *obstacle,
            Obstacle::SplitsPair {
                partner: "1".to_owned(),
                steps_needed: 3
            }
        );
        assert_eq!(
            obstacle.hint(step, "default"),
            "CALL belay.migrate_down(steps => 3) reverts both"
        );
        assert!(model.plan(&redo(2)).first_obstacle().is_some());
        assert!(model.plan(&to("2")).first_obstacle().is_some());
        assert_eq!(model.run(&down(3)).unwrap().len(), 3);
    }
}

#[test]
fn a_pair_that_is_not_indivisible_may_be_split() {
    let mut model = applied(&["1", "2"]);
    model.pair("2", "1", false);
    assert_eq!(model.run(&down(1)).unwrap(), ["down 2"]);
}

#[test]
fn an_indivisible_partner_that_is_not_applied_is_in_nobodys_way() {
    let mut model = applied(&["1", "2"]);
    model.register(&["3"]);
    model.pair("2", "3", true);
    assert_eq!(model.run(&down(1)).unwrap(), ["down 2"]);
}

#[test]
fn strict_leaves_no_gap_where_positions_are_not_in_order() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.applied = ["1", "3", "2"].map(str::to_owned).to_vec();
    let gap = Obstacle::LeavesGap {
        newest: "3".to_owned(),
    };
    assert_eq!(obstacles(&model.plan(&down(1))), [Some(gap.clone())]);
    assert_eq!(obstacles(&model.plan(&down(2))), [Some(gap), None]);
    model.ordering = Permissive;
    assert_eq!(model.run(&down(1)).unwrap(), ["down 2"]);
}

#[test]
fn redo_goes_down_and_up_again_in_the_original_order() {
    let mut model = Model::new(Permissive, &["1", "2", "3"]);
    model.applied = ["1", "3", "2"].map(str::to_owned).to_vec();
    assert_eq!(
        model.run(&redo(2)).unwrap(),
        ["down 2", "down 3", "up 3", "up 2"]
    );
    assert_eq!(model.run(&redo(9)).unwrap().len(), 6);
}

#[test]
fn redo_minds_requirements_on_the_way_up() {
    let mut model = Model::new(Permissive, &["1", "2"]);
    model.run(&up()).unwrap();
    model.edit("2").requires = vec!["1".to_owned()];
    assert_eq!(model.run(&redo(2)).unwrap().len(), 4);
    model.edit("2").requires = vec!["missing".to_owned()];
    assert!(matches!(
        model.plan(&redo(1)).steps[1].obstacle,
        Some(Obstacle::RequirementUnknown { .. })
    ));
}
