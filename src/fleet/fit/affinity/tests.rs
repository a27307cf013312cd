//! Tests of required node affinity.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn affinity(terms: &Value) -> NodeAffinity {
    let selector = json!({"nodeSelectorTerms": terms});
    NodeAffinity::new(serde_json::from_value(selector).unwrap())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    pairs.collect()
}

/// Whether a node with the labels `zone=az1`, `gen=10` and `empty=` has this requirement.
fn matches_expression(expression: &Value) -> bool {
    let node = labels(&[("zone", "az1"), ("gen", "10"), ("empty", "")]);
    affinity(&json!([{"matchExpressions": [expression]}])).matches(&node, Some("node-1"))
}

#[test]
fn every_operator_about_labels_is_judged_as_kube_scheduler_does() {
    for (key, operator, values, expect) in [
        ("zone", "In", json!(["az0", "az1"]), true),
        ("zone", "In", json!(["az0"]), false),
        ("zone", "In", json!([]), false),
        ("rack", "In", json!(["r1"]), false),
        ("empty", "In", json!([""]), true),
        ("zone", "NotIn", json!(["az0"]), true),
        ("zone", "NotIn", json!(["az0", "az1"]), false),
        ("rack", "NotIn", json!(["r1"]), true),
        ("rack", "NotIn", json!([]), false),
        ("zone", "Exists", json!(null), true),
        ("empty", "Exists", json!([]), true),
        ("rack", "Exists", json!(null), false),
        ("zone", "Exists", json!(["az1"]), false),
        ("zone", "DoesNotExist", json!(null), false),
        ("rack", "DoesNotExist", json!(null), true),
        ("rack", "DoesNotExist", json!(["r1"]), false),
        ("gen", "Gt", json!(["9"]), true),
        ("gen", "Gt", json!(["10"]), false),
        ("gen", "Gt", json!(["-1"]), true),
        ("gen", "Gt", json!(["9", "8"]), false),
        ("gen", "Gt", json!([]), false),
        ("gen", "Gt", json!(["nine"]), false),
        ("zone", "Gt", json!(["0"]), false),
        ("rack", "Gt", json!(["0"]), false),
        ("gen", "Lt", json!(["11"]), true),
        ("gen", "Lt", json!(["10"]), false),
        ("gen", "Lt", json!(["9"]), false),
        ("rack", "Lt", json!(["9"]), false),
        ("zone", "Equals", json!(["az1"]), false),
        ("zone", "in", json!(["az1"]), false),
    ] {
        let expression = json!({"key": key, "operator": operator, "values": values});
        assert_eq!(matches_expression(&expression), expect, "{expression}");
    }
}

#[test]
fn a_field_is_judged_by_the_name_of_the_node() {
    let node = labels(&[]);
    for (key, operator, values, named, unnamed) in [
        ("metadata.name", "In", json!(["node-1"]), true, true),
        ("metadata.name", "In", json!(["node-2"]), false, true),
        (
            "metadata.name",
            "In",
            json!(["node-1", "node-2"]),
            false,
            false,
        ),
        ("metadata.name", "In", json!([]), false, false),
        ("metadata.name", "NotIn", json!(["node-1"]), false, true),
        ("metadata.name", "NotIn", json!(["node-2"]), true, true),
        ("metadata.name", "Exists", json!(["node-1"]), false, false),
        ("metadata.uid", "In", json!(["node-1"]), false, true),
        ("metadata.uid", "NotIn", json!(["node-1"]), true, true),
    ] {
        let field = json!({"key": key, "operator": operator, "values": values});
        let affinity = affinity(&json!([{"matchFields": [field]}]));
        assert_eq!(affinity.matches(&node, Some("node-1")), named, "{field}");
        // As for a volume.
        assert_eq!(affinity.matches(&node, None), unnamed, "{field}");
    }
}

#[test]
fn terms_are_alternatives_and_an_empty_one_matches_no_node() {
    let zone = json!({"key": "zone", "operator": "In", "values": ["az1"]});
    let rack = json!({"key": "rack", "operator": "Exists"});
    let name = json!({"key": "metadata.name", "operator": "In", "values": ["node-1"]});
    let wrong = json!({"key": "zone", "operator": "Near"});
    let node = labels(&[("zone", "az1")]);
    for (terms, expect) in [
        (json!([]), false),
        (json!([{}]), false),
        (json!([{"matchExpressions": [], "matchFields": []}]), false),
        (json!([{"matchExpressions": [zone]}]), true),
        (json!([{"matchExpressions": [zone, rack]}]), false),
        (
            json!([{"matchExpressions": [rack]}, {"matchExpressions": [zone]}]),
            true,
        ),
        (
            json!([{"matchExpressions": [wrong]}, {"matchExpressions": [zone]}]),
            true,
        ),
        (json!([{"matchExpressions": [zone, wrong]}]), false),
        (json!([{}, {"matchExpressions": [zone]}]), true),
        (
            json!([{"matchExpressions": [zone], "matchFields": [name]}]),
            true,
        ),
        (
            json!([{"matchExpressions": [rack], "matchFields": [name]}]),
            false,
        ),
    ] {
        let affinity = affinity(&terms);
        assert_eq!(affinity.matches(&node, Some("node-1")), expect, "{terms}");
    }
}

#[test]
fn an_affinity_is_shown_with_its_operators_and_the_first_of_its_values() {
    let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let many: Vec<String> = (0..10).map(|at| format!("r{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (terms, expect) in [
        (json!([expression("zone", "In", &["az1"])]), "zone In az1"),
        (
            json!([expression("zone", "In", &["az1", "az2"])]),
            "zone In (az1, az2)",
        ),
        (
            json!([expression("gpu", "DoesNotExist", &[])]),
            "gpu DoesNotExist",
        ),
        (
            json!([
                expression("gen", "Gt", &["9"]),
                expression("rack", "In", &many)
            ]),
            "gen Gt 9 or rack In (r0, r1, r2, r3, r4, r5, r6, r7 and 2 more)",
        ),
        (
            json!([{
                "matchExpressions": [{"key": "zone", "operator": "Exists"}],
                "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["a"]}],
            }]),
            "zone Exists and metadata.name NotIn a",
        ),
        (json!([{}]), "an empty term"),
        (json!([{}, {}, {}, {}, {}]), "none of 5 terms"),
    ] {
        assert_eq!(affinity(&terms).to_string(), expect, "{terms}");
    }
}

fn any_requirement() -> impl Strategy<Value = (&'static str, &'static str, Vec<&'static str>)> {
    let keys = prop::sample::select(vec!["a", "b", "c"]);
    let operators = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
    let values = prop::sample::subsequence(vec!["1", "2", "3"], 1..3);
    (keys, operators, values)
}

proptest! {
    /// A requirement and its opposite: exactly one of them matches each node.
    #[test]
    fn a_requirement_or_its_opposite_matches(
        (key, operator, values) in any_requirement(),
        node in prop::collection::btree_map("[a-c]", "[1-3]", 0..3),
    ) {
        let opposite = match operator {
            "In" => "NotIn",
            "NotIn" => "In",
            "Exists" => "DoesNotExist",
            _ => "Exists",
        };
        let values = if operator.ends_with("In") { values } else { Vec::new() };
        let matches = |operator| {
            let expression = json!({"key": key, "operator": operator, "values": values});
            affinity(&json!([{"matchExpressions": [expression]}])).matches(&node, None)
        };
        prop_assert_ne!(matches(operator), matches(opposite));
    }
}
