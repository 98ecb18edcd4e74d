use serde_json::json;

use super::*;

/// The findings of 2_b beside 1_a, 3_c and 4_d, with these footprints.
fn with_footprints(json: &serde_json::Value, text: &str) -> Vec<Finding> {
    let base = files(&["1_a", "3_c", "4_d"]);
    let mut head = base.clone();
    head.push(("2_b.sql".to_owned(), text.to_owned()));
    let scratch = ScratchRun::from_json(json).unwrap();
    let comparison = Comparison {
        base: &sources(&base),
        head: &sources(&head),
        scratch: Some(&scratch),
        ..Comparison::default()
    };
    comparison.findings().unwrap()
}

#[test]
fn with_footprints_only_what_meets_a_later_one_of_base_is_late() {
    let (t, u) = (
        json!({"defines": ["relation t"]}),
        json!({"defines": ["relation u"]}),
    );
    let everything = json!({"everything": "reads pg_catalog.pg_class"});
    let alone = json!({"defines": ["relation t"], "transaction": false});
    let reads = json!({"reads": ["relation u"], "everything": null});
    let table = [
        (json!({"1_a": t, "2_b": t, "3_c": u, "4_d": u}), None),
        (
            json!({"2_b": t, "3_c": u, "4_d": t}),
            Some("\"2_b\" defines relation t, which \"4_d\" defines"),
        ),
        (
            json!({"2_b": reads, "3_c": u, "4_d": t}),
            Some("\"2_b\" reads relation u, which \"3_c\" defines"),
        ),
        (json!({"2_b": reads, "3_c": reads, "4_d": t}), None),
        (
            json!({"3_c": u, "4_d": u}),
            Some("no footprint of \"2_b\" is known"),
        ),
        (
            json!({"2_b": t, "3_c": u}),
            Some("no footprint of \"4_d\" is known"),
        ),
        (
            json!({"2_b": t, "3_c": everything, "4_d": u}),
            Some("\"3_c\" reads pg_catalog.pg_class, so that"),
        ),
        (
            json!({"2_b": alone, "3_c": u, "4_d": u}),
            Some("it runs without a transaction"),
        ),
    ];
    for (json, expected) in table {
        let found = with_footprints(&json, "SELECT 2");
        assert_eq!(found.len(), usize::from(expected.is_some()), "{json}");
        if let Some(expected) = expected {
            assert!(found[0].detail.contains(expected), "{}", found[0].detail);
        }
    }
    let disjoint = json!({"2_b": t, "3_c": u, "4_d": u});
    let text = "-- belay: transaction off\nSELECT 2";
    assert_eq!(with_footprints(&disjoint, text).len(), 1);
}

#[test]
fn a_footprint_of_another_form_is_refused() {
    for (json, expected) in [
        (json!([]), "footprints is not a JSON object"),
        (
            json!({"1": []}),
            "the footprint of \"1\": not a JSON object",
        ),
        (
            json!({"1": {"read": []}}),
            "the footprint of \"1\": \"read\" is not known",
        ),
        (
            json!({"1": {"reads": [1]}}),
            "the footprint of \"1\": \"reads\" is not an array of strings",
        ),
        (
            json!({"1": {"everything": true}}),
            "the footprint of \"1\": \"everything\" is not a string",
        ),
        (
            json!({"1": {"transaction": "off"}}),
            "the footprint of \"1\": \"transaction\" is not true or false",
        ),
    ] {
        let error = ScratchRun::from_json(&json).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
