//! Tests of cordons and taints.

use std::slice;

use serde_json::{Value, from_value, json};

use super::*;

fn node(unschedulable: bool, taints: Value) -> Node {
    Node {
        unschedulable,
        taints: from_value(taints).unwrap(),
        ..Node::default()
    }
}

#[test]
fn a_toleration_matches_by_effect_key_and_operator() {
    for (toleration, expect) in [
        (json!({}), false),
        (json!({"operator": "Exists"}), true),
        (json!({"operator": "Exists", "effect": "NoExecute"}), false),
        (json!({"operator": "Exists", "effect": "NoSchedule"}), true),
        (json!({"key": "gen", "operator": "Exists"}), true),
        (json!({"key": "gpu", "operator": "Exists"}), false),
        (
            json!({"key": "gen", "operator": "Exists", "value": "3"}),
            true,
        ),
        (json!({"key": "gen", "value": "10"}), true),
        (
            json!({"key": "gen", "operator": "", "effect": "", "value": "10"}),
            true,
        ),
        (
            json!({"key": "gen", "operator": "Equal", "value": "10"}),
            true,
        ),
        (
            json!({"key": "gen", "operator": "Equal", "value": "1"}),
            false,
        ),
        (json!({"key": "gen", "operator": "Equal"}), false),
        (json!({"operator": "Equal", "value": "10"}), true),
        (json!({"key": "gen", "operator": "Lt", "value": "11"}), true),
        (
            json!({"key": "gen", "operator": "Lt", "value": "10"}),
            false,
        ),
        (json!({"key": "gen", "operator": "Lt", "value": "9"}), false),
        (json!({"key": "gen", "operator": "Gt", "value": "9"}), true),
        (json!({"key": "gen", "operator": "Gt", "value": "-9"}), true),
        (
            json!({"key": "gen", "operator": "Gt", "value": "10"}),
            false,
        ),
        (
            json!({"key": "gen", "operator": "Gt", "value": "09"}),
            false,
        ),
        (
            json!({"key": "gen", "operator": "Gt", "value": "+9"}),
            false,
        ),
        (
            json!({"key": "gen", "operator": "Gt", "value": "-0"}),
            false,
        ),
        (
            json!({"key": "gen", "operator": "Gt", "value": "few"}),
            false,
        ),
        (json!({"key": "gen", "operator": "Gt"}), false),
        (
            json!({"key": "gen", "operator": "Near", "value": "10"}),
            false,
        ),
    ] {
        let taint = json!({"key": "gen", "value": "10", "effect": "NoSchedule"});
        let taint = from_value(taint).unwrap();
        let parsed: Toleration = from_value(toleration.clone()).unwrap();
        assert_eq!(is_tolerated(&parsed, &taint), expect, "{toleration}");
    }
    let taint: Taint = from_value(json!({"key": "gen", "effect": "NoSchedule"})).unwrap();
    let toleration = json!({"key": "gen", "operator": "Gt", "value": "0"});
    assert!(!is_tolerated(&from_value(toleration).unwrap(), &taint));
    assert!(is_tolerated(
        &from_value(json!({"key": "gen"})).unwrap(),
        &taint
    ));
}

#[test]
fn every_taint_that_is_not_tolerated_is_reported_and_known_ones_by_their_cause() {
    let cordon = json!({"key": UNSCHEDULABLE, "effect": "NoSchedule"});
    let not_ready = json!({"key": NOT_READY, "effect": "NoSchedule"});
    let unreachable = json!({"key": UNREACHABLE, "effect": "NoExecute"});
    let gpu = json!({"key": "gpu", "value": "a100", "effect": "NoSchedule"});
    let drain = json!({"key": "kubevirt.io/drain", "effect": "NoExecute"});
    let soft = json!({"key": "busy", "effect": "PreferNoSchedule"});
    let text = |text: &str| text.to_owned();
    let cordoned = (Cause::Cordoned, String::new());
    for (unschedulable, taints, expect) in [
        (false, json!([]), vec![]),
        (false, json!([soft]), vec![]),
        (true, json!([]), vec![cordoned.clone()]),
        (true, json!([cordon]), vec![cordoned.clone()]),
        (false, json!([cordon]), vec![cordoned.clone()]),
        (
            false,
            json!([not_ready, unreachable]),
            vec![(Cause::NodeNotReady, text(NOT_READY))],
        ),
        (
            true,
            json!([gpu, unreachable, drain, soft]),
            vec![
                cordoned,
                (Cause::Taint, text("gpu=a100:NoSchedule")),
                (Cause::NodeNotReady, text(UNREACHABLE)),
                (Cause::Taint, text("kubevirt.io/drain:NoExecute")),
            ],
        ),
    ] {
        let found = misfits(&[], &node(unschedulable, taints.clone()));
        assert_eq!(found, expect, "{unschedulable} {taints}");
        let all: Toleration = from_value(json!({"operator": "Exists"})).unwrap();
        let mut node = node(unschedulable, taints);
        assert_eq!(misfits(slice::from_ref(&all), &node), []);
        // A drain evicts what tolerates the cordon too.
        node.is_drained = true;
        let drained = [(Cause::Drained, String::new())];
        assert_eq!(misfits(&[all], &node), drained);
        let others = expect.into_iter();
        let others = others.filter(|(cause, _)| *cause != Cause::Cordoned);
        let expect: Vec<_> = drained.into_iter().chain(others).collect();
        assert_eq!(misfits(&[], &node), expect);
    }
}

#[test]
fn a_cordon_is_tolerated_by_its_taint() {
    for (toleration, expect) in [
        (json!({"key": UNSCHEDULABLE, "operator": "Exists"}), true),
        (
            json!({"key": UNSCHEDULABLE, "operator": "Exists", "effect": "NoSchedule"}),
            true,
        ),
        (
            json!({"key": UNSCHEDULABLE, "operator": "Exists", "effect": "NoExecute"}),
            false,
        ),
        (json!({"key": UNSCHEDULABLE}), true),
        (json!({"key": UNSCHEDULABLE, "value": "true"}), false),
        (json!({"key": NOT_READY, "operator": "Exists"}), false),
    ] {
        let parsed = from_value(toleration.clone()).unwrap();
        let found = misfits(&[parsed], &node(true, json!([])));
        assert_eq!(found.is_empty(), expect, "{toleration}");
    }
}

#[test]
fn a_node_that_is_not_ready_takes_no_vm_whatever_it_tolerates() {
    let all = [from_value(json!({"operator": "Exists"})).unwrap()];
    let not_ready = Some("Unknown (NodeStatusUnknown)".to_owned());
    let mut node = Node {
        not_ready,
        ..node(false, json!([]))
    };
    let by_condition = (
        Cause::NodeNotReady,
        "its condition Ready is Unknown (NodeStatusUnknown)".to_owned(),
    );
    assert_eq!(misfits(&[], &node), std::slice::from_ref(&by_condition));
    assert_eq!(misfits(&all, &node), std::slice::from_ref(&by_condition));
    node.taints = from_value(json!([{"key": UNREACHABLE, "effect": "NoSchedule"}])).unwrap();
    let by_taint = (Cause::NodeNotReady, UNREACHABLE.to_owned());
    assert_eq!(misfits(&[], &node), [by_taint]);
    assert_eq!(misfits(&all, &node), [by_condition]);
}
