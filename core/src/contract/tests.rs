use serde_json::json;

use super::*;
use crate::naming::Phase;
use crate::snapshot::{Kind, Snapshot};

fn snapshot(objects: &[(Kind, &str, serde_json::Value)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (kind, name, definition) in objects {
        let definition = definition.as_object().cloned().unwrap_or_default();
        snapshot.insert(*kind, (*name).to_owned(), definition);
    }
    snapshot
}

fn judged(before: &Snapshot, after: &Snapshot, base: &Base, phase: Phase) -> Vec<String> {
    let judged = Judged {
        before,
        after,
        base,
        phase,
        versioned: &[],
    };
    judge(&judged).iter().map(Violation::to_string).collect()
}

fn shop() -> Vec<(Kind, &'static str, serde_json::Value)> {
    vec![
        (Kind::Schema, "s", json!({})),
        (Kind::Table, "s.t", json!({"kind": "table"})),
        (
            Kind::Column,
            "s.t.a",
            json!({"of": "table", "type": "integer", "not_null": false}),
        ),
        (
            Kind::Column,
            "s.t.b",
            json!({"of": "table", "type": "text", "not_null": false}),
        ),
    ]
}

#[test]
fn the_same_schema_breaks_nothing() {
    let schema = snapshot(&shop());
    for phase in [Phase::Pre, Phase::Post] {
        assert!(judged(&schema, &schema, &Base::of(&schema), phase).is_empty());
    }
}

#[test]
fn what_the_release_made_is_free_in_pre() {
    let before = snapshot(&shop());
    let after = snapshot(&shop()[..3]);
    let told = ["drop-column, column s.t.b: dropped or renamed"];
    assert_eq!(
        judged(&before, &after, &Base::of(&before), Phase::Pre),
        told
    );
    assert!(judged(&before, &after, &Base::of(&after), Phase::Pre).is_empty());
}

#[test]
fn a_table_is_told_and_not_its_columns_and_where_it_may_have_gone() {
    let before = snapshot(&shop());
    let mut objects = shop();
    objects[1].1 = "s.u";
    objects[2].1 = "s.u.a";
    objects[3].1 = "s.u.b";
    let told = ["drop-table, table s.t: dropped or renamed, perhaps to s.u"];
    assert_eq!(
        judged(&before, &snapshot(&objects), &Base::of(&before), Phase::Pre),
        told
    );
}

#[test]
fn what_happens_to_all_partitions_is_told_once() {
    let with = |kind: &str| {
        let column = json!({"of": "table", "type": kind});
        snapshot(&[
            (Kind::Table, "s.p", json!({"kind": "partitioned table"})),
            (
                Kind::Table,
                "s.p1",
                json!({"kind": "table", "partition_of": "s.p"}),
            ),
            (Kind::Column, "s.p.a", column.clone()),
            (Kind::Column, "s.p1.a", column),
        ])
    };
    let before = with("integer");
    let told = judged(&before, &with("bigint"), &Base::of(&before), Phase::Pre);
    assert_eq!(
        told,
        ["change-column-type, column s.p.a: type was integer, is bigint"]
    );
}

#[test]
fn a_base_comes_back_from_json() {
    let base = Base::of(&snapshot(&shop()));
    assert_eq!(Base::from_json(&base.to_json()), base);
    assert!(base.has(Kind::Column, "s.t.a") && !base.has(Kind::Column, "s.t.c"));
}

#[test]
fn waivers_part_what_is_accepted_from_what_is_left() {
    let before = snapshot(&shop());
    let after = snapshot(&shop()[..1]);
    let all = judge(&Judged {
        before: &before,
        after: &after,
        base: &Base::of(&before),
        phase: Phase::Pre,
        versioned: &[],
    });
    let waiver = |rule: &str| Waiver::from_text(&format!("{rule} agreed")).into_iter();
    let waivers: Vec<Waiver> = waiver("drop-table").chain(waiver("drop-view")).collect();
    let settled = settle(all, &waivers);
    assert_eq!(
        settled.waived,
        ["drop-table, table s.t: dropped or renamed (agreed)"]
    );
    assert_eq!(
        (settled.left, settled.unneeded),
        (vec![], vec!["drop-view"])
    );
}

#[test]
fn statements_outside_a_transaction_are_judged_one_by_one() {
    let base = Base::of(&snapshot(&shop()));
    let on = |table: &str| Alone::BuildsUnique {
        table: Some(table.to_owned()),
    };
    let statements = [Alone::Harmless, Alone::Other, on("s.t"), on("s.new")];
    let told: Vec<String> = judge_alone(&statements, &base)
        .iter()
        .map(Violation::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "non-transactional-pre, statement 2: runs outside a transaction, so it cannot be taken back",
            "add-unique, table s.t: gets a unique index",
        ]
    );
}

#[test]
fn the_ids_of_rules_differ_and_say_what_to_do_instead() {
    let ids: std::collections::BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().count());
    assert!(rules().all(|rule| !rule.what.is_empty() && !rule.instead.is_empty()));
}
