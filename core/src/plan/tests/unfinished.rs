//! What a migration that began and did not finish does to plans.

use super::model::*;
use crate::order::Ordering::Strict;
use crate::plan::*;

fn begun(model: &mut Model, name: &str, direction: Direction) {
    model.unfinished = Some(Unfinished {
        name: name.to_owned(),
        direction,
        next_statement: 2,
    });
}

#[test]
fn an_up_goes_on_with_it_before_anything_else() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.run(&up_steps(1)).unwrap();
    begun(&mut model, "2", Direction::Up);
    let plan = model.plan(&up());
    assert_eq!(shown(&plan), ["up 2", "up 3"]);
    let resumes: Vec<_> = plan.steps.iter().map(|step| step.resume_at).collect();
    assert_eq!(resumes, [Some(2), None]);
    assert!(plan.first_obstacle().is_none());
    assert_eq!(shown(&model.plan(&up_steps(1))), ["up 2"]);
}

#[test]
fn it_goes_first_whatever_sorts_before_it() {
    let mut model = Model::new(Strict, &["1", "3"]);
    model.run(&up_steps(1)).unwrap();
    begun(&mut model, "3", Direction::Up);
    model.register(&["2"]);
    let plan = model.plan(&up());
    assert_eq!(shown(&plan), ["up 3", "up 2"]);
    let late = Obstacle::Late {
        newest: "3".to_owned(),
    };
    assert_eq!(obstacles(&plan), [None, Some(late)]);
    assert_eq!(model.run(&up_steps(1)).unwrap(), ["up 3"]);
}

#[test]
fn an_unfinished_up_stops_every_way_down() {
    let mut model = Model::new(Strict, &["1", "2"]);
    model.run(&up_steps(1)).unwrap();
    begun(&mut model, "2", Direction::Up);
    for request in [down(1), redo(1), to("@none")] {
        let plan = model.plan(&request);
        let (step, obstacle) = plan.first_obstacle().unwrap();
        assert!(matches!(obstacle, Obstacle::Unfinished { .. }));
        assert_eq!(
            obstacle.message(step),
            "migration \"2\" began to go up and has not finished; statement 2 is next"
        );
        assert!(
            obstacle
                .hint(step, "default")
                .contains("CALL belay.migrate_up()")
        );
        assert!(
            obstacle
                .hint(step, "p")
                .contains("migrate_up(project => 'p')")
        );
    }
}

#[test]
fn a_down_goes_on_with_its_own_and_an_up_waits() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.run(&up_steps(2)).unwrap();
    begun(&mut model, "2", Direction::Down);
    let plan = model.plan(&down(2));
    assert_eq!(shown(&plan), ["down 2", "down 1"]);
    assert_eq!(plan.steps[0].resume_at, Some(2));
    assert!(plan.first_obstacle().is_none());
    assert_eq!(shown(&model.plan(&redo(1))), ["down 2", "up 2"]);
    let plan = model.plan(&up());
    assert!(matches!(
        plan.steps[0].obstacle,
        Some(Obstacle::Unfinished {
            direction: Direction::Down,
            ..
        })
    ));
}

#[test]
fn a_down_that_stops_above_it_is_refused() {
    let mut model = Model::new(Strict, &["1", "2", "3"]);
    model.run(&up()).unwrap();
    begun(&mut model, "2", Direction::Down);
    let plan = model.plan(&to("2"));
    assert_eq!(shown(&plan), ["down 3"]);
    assert!(matches!(
        plan.steps[0].obstacle,
        Some(Obstacle::Unfinished { .. })
    ));
    let mut facts = model.facts(&down(3));
    facts.unfinished = model.unfinished.clone();
    assert_eq!(shown(&plan_of(&down(2), &facts)), ["down 2", "down 3"]);
}

fn plan_of(request: &Request, facts: &Facts) -> Plan {
    plan(request, facts).unwrap()
}
