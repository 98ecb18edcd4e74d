use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::batching::{AfterTimeout, after_timeout, is_hopeless, next_size};
use super::state::{State, Verb, possible};
use super::window::{Window, is_impossible, judge};
use super::{Action, Work, read};
use crate::naming::parse_release;

const MINUTE: Duration = Duration::from_secs(60);

fn release(text: &str) -> semver::Version {
    parse_release(text).unwrap()
}

fn stands(min: &str, max: &str, at: &str) -> Window {
    judge(Some(&release(min)), Some(&release(max)), Some(&release(at)))
}

#[test]
fn both_bounds_of_a_window_are_inclusive_and_compared_by_precedence() {
    assert_eq!(stands("3.1.0", "3.2.0", "3.1.0"), Window::Open);
    assert_eq!(stands("3.1.0", "3.2.0", "3.2.0"), Window::Open);
    assert_eq!(stands("3.1.0", "3.2.0", "3.2.0-rc.1"), Window::Open);
    assert_eq!(stands("3.1.0", "3.1.5", "3.2.0-rc.1"), Window::Missed);
    assert_eq!(stands("3.2.0", "3.9.0", "3.2.0-rc.1"), Window::Future);
}

#[test]
fn without_a_release_only_an_unbounded_window_is_open() {
    assert_eq!(judge(None, None, None), Window::Open);
    assert_eq!(judge(Some(&release("1.0.0")), None, None), Window::Future);
    assert_eq!(judge(None, Some(&release("1.0.0")), None), Window::Future);
}

#[test]
fn a_child_that_ends_before_its_parent_begins_is_impossible() {
    assert!(is_impossible(
        Some(&release("1.0.0")),
        Some(&release("1.0.1"))
    ));
    assert!(!is_impossible(
        Some(&release("1.0.1")),
        Some(&release("1.0.1"))
    ));
    assert!(!is_impossible(None, Some(&release("1.0.1"))));
}

#[test]
fn a_definition_is_read_with_its_defaults() {
    let read = read(json!({"operations": [
        {"batch": {"table": "t", "set": "a = 1"}, "rollback": {"batch": {"table": "t", "select": "f(a)", "sub_batch": 5000}}},
    ]}))
    .unwrap();
    let Work::Batch(batch) = &read.operations[0].work else {
        panic!("not a batch")
    };
    assert_eq!(
        (batch.size, batch.sub_batch, batch.pause, batch.interval),
        (1_000, 100, 100, 120_000)
    );
    let Some(Work::Batch(back)) = &read.operations[0].rollback else {
        panic!("not a batch")
    };
    assert_eq!(back.action, Action::Select("f(a)".to_owned()));
    assert_eq!(back.size, 5_000);
}

#[test]
fn what_cannot_be_read_says_where() {
    let place = |json| read(json).unwrap_err().place;
    assert_eq!(place(json!([])), "the definition");
    assert_eq!(place(json!({})), "operations");
    assert_eq!(place(json!({"operations": []})), "operations");
    assert_eq!(place(json!({"operation": []})), "the definition");
    assert_eq!(
        place(json!({"operations": [{"sql": "x", "batch": {}}]})),
        "operations[0]"
    );
    assert_eq!(
        place(json!({"operations": [{"sql": "x"}, {"batch": {"table": "t"}}]})),
        "operations[1].batch"
    );
    assert_eq!(
        place(json!({"operations": [{"batch": {"table": "t", "set": "a", "size": 0}}]})),
        "operations[0].batch.size"
    );
    assert_eq!(
        place(json!({"operations": [{"sql": "x", "timeout": "30"}]})),
        "operations[0].timeout"
    );
    assert_eq!(
        place(json!({"operations": [{"sql": "x"}], "min_release": "1"})),
        "min_release"
    );
    assert_eq!(
        place(
            json!({"operations": [{"sql": "x"}], "min_release": "1.1.0", "max_release": "1.0.0"})
        ),
        "max_release"
    );
}

#[test]
fn the_checksum_depends_on_what_is_said_and_not_on_how() {
    let sum = |text: &str| {
        read(serde_json::from_str(text).unwrap())
            .unwrap()
            .checksum()
    };
    let one = sum(r#"{"operations": [{"sql": "SELECT 1"}], "description": "a"}"#);
    assert_eq!(
        one,
        sum(r#"{ "description":"a","precheck":null, "operations":[ {"sql":"SELECT 1"} ]}"#)
    );
    assert_ne!(
        one,
        sum(r#"{"operations": [{"sql": "SELECT 2"}], "description": "a"}"#)
    );
}

#[test]
fn gl_45_fewer_than_twenty_batches_change_nothing() {
    assert_eq!(
        next_size(1_000, 2_000_000, 2 * MINUTE, &[Duration::ZERO; 19]),
        1_000
    );
}

#[test]
fn gl_45_between_ninety_and_ninety_five_percent_nothing_changes() {
    assert_eq!(
        next_size(5_000, 2_000_000, MINUTE, &[MINUTE * 92 / 100; 20]),
        5_000
    );
}

#[test]
fn gl_45_the_size_grows_by_a_fifth_at_most_and_shrinks_as_it_must() {
    assert_eq!(
        next_size(5_000, 2_000_000, MINUTE, &[MINUTE / 100; 20]),
        6_000
    );
    assert_eq!(
        next_size(50_000, 2_000_000, MINUTE, &[MINUTE * 10; 20]),
        4_750
    );
    assert_eq!(
        next_size(1_900_000, 2_000_000, MINUTE, &[Duration::ZERO; 20]),
        2_000_000
    );
    assert_eq!(
        next_size(1_200, 2_000_000, MINUTE, &[MINUTE * 100; 20]),
        1_000
    );
}

#[test]
fn gl_48_a_sub_batch_shrinks_by_a_quarter_but_not_below_a_third() {
    assert_eq!(after_timeout(1, 1_000, 100, 100), AfterTimeout::Shrink(75));
    assert_eq!(after_timeout(2, 1_000, 75, 100), AfterTimeout::Shrink(56));
    assert_eq!(after_timeout(2, 1_000, 42, 100), AfterTimeout::Again);
    assert_eq!(after_timeout(1, 100, 100, 100), AfterTimeout::Again);
}

#[test]
fn gl_49_the_third_timeout_splits() {
    assert_eq!(after_timeout(3, 1_000, 56, 100), AfterTimeout::Split);
    assert_eq!(after_timeout(3, 1, 1, 1), AfterTimeout::Again);
}

#[test]
fn gl_50_more_than_half_of_fifty_batches_is_hopeless() {
    assert!(!is_hopeless(49, 49));
    assert!(!is_hopeless(50, 25));
    assert!(is_hopeless(50, 26));
}

#[test]
fn every_state_but_those_on_their_way_allows_something() {
    assert_eq!(
        possible(State::Running),
        "job_stop, job_stop(rollback => false), job_pause, job_finalize"
    );
    assert_eq!(possible(State::Completed), "job_rollback(force => true)");
    assert_eq!(possible(State::RollingBack), "job_finalize");
    assert_eq!(Verb::Start.after(State::Running), None);
    assert_eq!("errored".parse(), Ok(State::Errored));
}

proptest! {
    #[test]
    fn sizes_stay_within_bounds(size in 1_u32..3_000_000, ms in 0_u64..100_000_000, max in 1_u32..3_000_000) {
        let max = max.max(size);
        let next = next_size(size, max, 2 * MINUTE, &[Duration::from_millis(ms); 20]);
        prop_assert!((1..=max).contains(&next), "{next}");
    }

    #[test]
    fn a_window_is_future_before_it_is_open_and_missed_after(a in 0_u64..5, b in 0_u64..5, at in 0_u64..5) {
        let version = |n| semver::Version::new(1, n, 0);
        let (min, max) = (version(a.min(b)), version(a.max(b)));
        let expected = if at < a.min(b) { Window::Future } else if at > a.max(b) { Window::Missed } else { Window::Open };
        prop_assert_eq!(judge(Some(&min), Some(&max), Some(&version(at))), expected);
    }
}
