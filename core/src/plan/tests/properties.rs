//! What holds for every registry and every sequence of calls.

use proptest::prelude::*;

use super::model::*;
use crate::order::Ordering::{self, Permissive, Strict};
use crate::plan::*;

const NAMES: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];

/// A registry, how much of it came late, who requires whom, and who is an indivisible pair.
fn models(ordering: Ordering) -> impl Strategy<Value = Model> {
    (
        prop::collection::vec(any::<bool>(), 8),
        prop::collection::vec(prop::option::of((0..8_usize, 0..8_usize)), 3),
        prop::collection::vec(prop::option::of((0..8_usize, 0..8_usize)), 2),
        0..6_u32,
    )
        .prop_map(move |(first, requires, pairs, steps)| {
            let early: Vec<&str> = (0..8).filter(|i| first[*i]).map(|i| NAMES[i]).collect();
            let mut model = Model::new(ordering, &early);
            if steps > 0 {
                model.run(&up_steps(steps)).unwrap();
            }
            if ordering == Permissive {
                model.register(&NAMES);
                // Also of somebody who sorts later, which no up can satisfy in key order.
                for (name, required) in requires.into_iter().flatten() {
                    let (name, required) = (NAMES[name], NAMES[required]);
                    if name != required && !model.is_applied(name) {
                        model.edit(name).requires = vec![required.to_owned()];
                    }
                }
            }
            for (a, b) in pairs.into_iter().flatten() {
                if a != b && model.find(NAMES[a]).is_some() && model.find(NAMES[b]).is_some() {
                    model.pair(NAMES[a], NAMES[b], true);
                }
            }
            model
        })
}

fn requests() -> impl Strategy<Value = Request> {
    let name = (0..NAMES.len()).prop_map(|i| NAMES[i]);
    prop_oneof![
        Just(up()),
        (1..4_u32).prop_map(up_steps),
        (1..4_u32).prop_map(down),
        (1..4_u32).prop_map(redo),
        Just(to("@none")),
        name.clone().prop_map(to),
        name.prop_map(up_to),
    ]
}

fn requirements_hold(model: &Model) -> bool {
    model.applied.iter().all(|name| {
        let requires = &model.find(name).unwrap().requires;
        requires.iter().all(|required| model.is_applied(required))
    })
}

pub(super) fn is_prefix(model: &Model) -> bool {
    let applied = model.applied_set();
    let mut rest = model
        .registry
        .iter()
        .skip_while(|entry| applied.contains(&entry.name));
    rest.all(|entry| !applied.contains(&entry.name))
}

/// Runs the request, step by step, unless it is refused or makes no sense; `check` sees each state.
pub(super) fn drive(model: &mut Model, request: &Request, check: impl Fn(&Model)) -> bool {
    let Ok(plan) = plan(request, &model.facts(request)) else {
        return false;
    };
    if plan.first_obstacle().is_some() {
        return false;
    }
    for step in &plan.steps {
        model.take(step);
        check(model);
    }
    true
}

/// Runs the request as the trigger of what is applied would let it: nothing goes in that leaves out what is
/// pending before it, or that sorts before what no review has seen.
fn drive_by_the_catalogs_rule(model: &mut Model, request: &Request) {
    let Ok(plan) = plan(request, &model.facts(request)) else {
        return;
    };
    if plan.first_obstacle().is_some() {
        return;
    }
    for step in &plan.steps {
        if step.direction == Direction::Up {
            let name = &step.entry.name;
            let covered = model.reviewed.get(name);
            for other in &model.registry {
                let applied = model.is_applied(&other.name);
                if applied && other.key > step.entry.key {
                    let seen = covered.is_some_and(|covered| covered.contains(&other.name));
                    assert!(seen, "{name} after {}: {model:?}", other.name);
                }
                let hole = !applied && other.key < step.entry.key;
                assert!(!hole, "{name} before {}: {model:?}", other.name);
            }
        }
        model.take(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn up_then_down_is_the_identity(mut model in models(Permissive)) {
        let before = model.applied.clone();
        if let Ok(steps) = model.run(&up()) && !steps.is_empty() {
            let back = down(steps.len() as u32);
            if model.plan(&back).first_obstacle().is_none() {
                model.run(&back).unwrap();
                prop_assert_eq!(model.applied, before);
            }
        }
    }

    #[test]
    fn no_step_applies_twice_or_reverts_what_is_not_applied(
        mut model in models(Permissive),
        calls in prop::collection::vec(requests(), 1..8),
    ) {
        // Model::take asserts it for each step.
        for request in &calls {
            drive(&mut model, request, |_| ());
        }
    }

    #[test]
    fn no_step_breaks_a_requirement(
        mut model in models(Permissive),
        calls in prop::collection::vec(requests(), 1..8),
    ) {
        prop_assume!(requirements_hold(&model));
        for request in &calls {
            drive(&mut model, request, |state| assert!(requirements_hold(state), "{state:?}"));
        }
    }

    #[test]
    fn no_call_splits_an_indivisible_pair_on_the_way_down(
        mut model in models(Permissive),
        steps in 1..6_u32,
    ) {
        let before = model.clone();
        if drive(&mut model, &down(steps), |_| ()) {
            for entry in &before.registry {
                if let Some(pair) = &entry.pair
                    && before.is_applied(&entry.name)
                    && before.is_applied(&pair.name)
                {
                    prop_assert_eq!(model.is_applied(&entry.name), model.is_applied(&pair.name));
                }
            }
        }
    }

    #[test]
    fn an_up_is_empty_when_run_again(mut model in models(Permissive), target in requests()) {
        let request = match target {
            Request::Up { target, .. } => Request::Up { target, steps: None, phase: None, release: None },
            other @ Request::To { .. } => other,
            _ => up(),
        };
        if drive(&mut model, &request, |_| ()) {
            prop_assert!(model.plan(&request).steps.is_empty());
        }
    }

    #[test]
    fn strict_keeps_what_is_applied_a_prefix(
        mut model in models(Strict),
        calls in prop::collection::vec(requests(), 1..10),
    ) {
        prop_assert!(is_prefix(&model));
        for request in &calls {
            drive(&mut model, request, |state| assert!(is_prefix(state), "{state:?}"));
        }
    }

    #[test]
    fn strict_never_makes_a_disorder_that_permissive_left_worse(
        mut model in models(Permissive),
        calls in prop::collection::vec(requests(), 1..10),
    ) {
        for request in &calls[..calls.len() / 2] {
            drive(&mut model, request, |_| ());
        }
        model.ordering = Strict;
        let orderly = is_prefix(&model);
        for request in &calls[calls.len() / 2..] {
            let ran = drive(&mut model, request, |state| assert!(!orderly || is_prefix(state)));
            prop_assert!(orderly || !ran || model.plan(request).steps.is_empty());
        }
    }

    #[test]
    fn strict_goes_past_its_order_only_by_a_review(
        mut model in models(Strict),
        reviewed in prop::collection::vec(any::<bool>(), 8),
        calls in prop::collection::vec(requests(), 1..10),
    ) {
        model.register(&NAMES);
        for (name, _) in NAMES.iter().zip(&reviewed).filter(|(_, reviewed)| **reviewed) {
            if !model.is_applied(name) {
                model.accept(name);
            }
        }
        for request in &calls {
            drive_by_the_catalogs_rule(&mut model, request);
        }
    }

    #[test]
    fn disjoint_never_leaves_half_a_redo_to_be_refused(
        mut model in models(Permissive),
        calls in prop::collection::vec(requests(), 1..10),
    ) {
        model.ordering = Ordering::Disjoint;
        for request in &calls {
            let plan = plan(request, &model.facts(request)).unwrap_or_default();
            let first_up = plan.steps.iter().position(|step| step.direction == Direction::Up);
            let ups = &plan.steps[first_up.unwrap_or(plan.steps.len())..];
            prop_assert!(ups.iter().all(|step| step.direction == Direction::Up));
            if matches!(request, Request::Redo { .. }) {
                prop_assert!(ups.is_sorted_by(|a, b| a.entry.key < b.entry.key));
            }
            drive(&mut model, request, |_| ());
        }
    }

    #[test]
    fn there_and_back_is_the_same_set(mut model in models(Strict), x in 0..8_usize, y in 0..8_usize) {
        let (x, y) = (to(NAMES[x]), to(NAMES[y]));
        if drive(&mut model, &x, |_| ()) {
            let set = model.applied_set();
            if drive(&mut model, &y, |_| ()) && drive(&mut model, &x, |_| ()) {
                prop_assert_eq!(model.applied_set(), set);
            }
        }
    }

    #[test]
    fn redo_leaves_everything_where_it_was(mut model in models(Permissive), steps in 1..6_u32) {
        let before = model.applied.clone();
        if drive(&mut model, &redo(steps), |_| ()) {
            prop_assert_eq!(model.applied, before);
        }
    }

    #[test]
    fn every_obstacle_has_words(model in models(Strict), request in requests()) {
        if let Ok(plan) = plan(&request, &model.facts(&request)) {
            for step in &plan.steps {
                if let Some(obstacle) = &step.obstacle {
                    prop_assert!(!obstacle.message(step).is_empty());
                    prop_assert!(!obstacle.hint(step, "other").is_empty());
                }
            }
        }
    }
}
