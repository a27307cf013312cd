//! Tests of affinity to pods.

use serde_json::{Value, from_value, json};

use super::*;
use crate::fleet::model::Pod;

/// Two zones of two nodes, and a node without a zone.
fn fleet(pods: &[(&str, &str, Value, Value)]) -> Fleet {
    let node = |name: &str, zone: Option<&str>| {
        let mut labels = Labels::from([("host".to_owned(), name.to_owned())]);
        labels.extend(zone.map(|zone| ("zone".to_owned(), zone.to_owned())));
        (
            name.to_owned(),
            Node {
                labels,
                ..Node::default()
            },
        )
    };
    let pod = |(at, (namespace, node, labels, far)): (usize, &(&str, &str, Value, Value))| {
        let pod = Pod {
            node: Some((*node).to_owned()),
            labels: from_value(labels.clone()).unwrap(),
            repels: from_value(far.clone()).unwrap(),
            ..Pod::default()
        };
        (ObjectKey::new(namespace, &format!("p{at}")), pod)
    };
    let namespace = |name: &str, team: &str| {
        let labels = Labels::from([("team".to_owned(), team.to_owned())]);
        (name.to_owned(), labels)
    };
    Fleet {
        nodes: [
            node("a1", Some("a")),
            node("a2", Some("a")),
            node("b1", Some("b")),
            node("b2", Some("b")),
            node("nowhere", None),
        ]
        .into(),
        pods: pods.iter().enumerate().map(pod).collect(),
        namespaces: [namespace("shop", "x"), namespace("infra", "y")].into(),
        ..Fleet::default()
    }
}

/// The nodes that reject a pod of the namespace `shop` with the label `app=web`.
fn rejected(fleet: &Fleet, near: &Value, far: &Value) -> String {
    let required = |terms: &Value| json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
    let affinity = json!({"podAffinity": required(near), "podAntiAffinity": required(far)});
    let affinity: Affinity = from_value(affinity).unwrap();
    let labels = Labels::from([
        ("app".to_owned(), "web".to_owned()),
        ("version".to_owned(), "2".to_owned()),
    ]);
    let rules = PodRules::new("shop", labels, Some(&affinity));
    let nodes = Nodes::new(fleet);
    let groups = Pods::new(fleet).misfits(&rules, &nodes).finish();
    let mut at: Vec<usize> = groups
        .iter()
        .flat_map(|group| group.nodes.to_vec())
        .collect();
    at.sort_unstable();
    at.dedup();
    let names: Vec<&str> = at.iter().map(|at| nodes.names[*at]).collect();
    names.join(" ")
}

fn term(topology: &str, labels: &Value) -> Value {
    json!({"topologyKey": topology, "labelSelector": {"matchLabels": labels}})
}

/// A term with one more field.
fn with(mut term: Value, field: &str, value: Value) -> Value {
    term[field] = value;
    term
}

const ALL: &str = "a1 a2 b1 b2 nowhere";

#[test]
fn a_pod_stays_off_the_domains_of_those_that_it_must_be_far_from() {
    let db = json!({"app": "db"});
    let pods = [
        ("shop", "a1", db.clone(), json!([])),
        ("infra", "b1", db.clone(), json!([])),
        ("shop", "nowhere", db.clone(), json!([])),
        (
            "shop",
            "b2",
            json!({"app": "other", "version": "2"}),
            json!([]),
        ),
    ];
    let fleet = fleet(&pods);
    let zone = || term("zone", &db);
    for (far, expect) in [
        (json!([]), ""),
        (json!([zone()]), "a1 a2"),
        (json!([term("host", &db)]), "a1 nowhere"),
        (
            json!([term("host", &db), term("zone", &json!({"app": "other"}))]),
            "a1 b1 b2 nowhere",
        ),
        (
            json!([with(zone(), "namespaces", json!(["infra"]))]),
            "b1 b2",
        ),
        (
            json!([with(zone(), "namespaceSelector", json!({}))]),
            "a1 a2 b1 b2",
        ),
        (
            json!([with(
                zone(),
                "namespaceSelector",
                json!({"matchLabels": {"team": "y"}})
            )]),
            "b1 b2",
        ),
        // An empty selector selects every pod, and none selects no pod.
        (
            json!([{"topologyKey": "host", "labelSelector": {}}]),
            "a1 b2 nowhere",
        ),
        (json!([{"topologyKey": "host"}]), ""),
        (
            json!([with(
                term("host", &json!({})),
                "matchLabelKeys",
                json!(["version"])
            )]),
            "b2",
        ),
        (
            json!([with(
                term("host", &json!({})),
                "mismatchLabelKeys",
                json!(["version"])
            )]),
            "a1 nowhere",
        ),
        (json!([term("rack", &db)]), ""),
    ] {
        assert_eq!(rejected(&fleet, &json!([]), &far), expect, "{far}");
    }
}

#[test]
fn a_pod_stays_off_nodes_that_are_not_near_what_it_must_be_near_to() {
    let pods = [
        ("shop", "a1", json!({"app": "db", "tier": "1"}), json!([])),
        ("shop", "b1", json!({"app": "cache"}), json!([])),
    ];
    let fleet = fleet(&pods);
    let db = || term("zone", &json!({"app": "db"}));
    for (near, expect) in [
        (json!([db()]), "b1 b2 nowhere"),
        (
            json!([term("host", &json!({"app": "db"}))]),
            "a2 b1 b2 nowhere",
        ),
        // One pod has to match all terms.
        (
            json!([db(), term("host", &json!({"tier": "1"}))]),
            "a2 b1 b2 nowhere",
        ),
        (json!([db(), term("zone", &json!({"app": "cache"}))]), ALL),
        (json!([term("zone", &json!({"app": "gone"}))]), ALL),
        // The first of its kind may be anywhere where there is a domain.
        (json!([term("zone", &json!({"app": "web"}))]), "nowhere"),
        (json!([term("rack", &json!({"app": "web"}))]), ALL),
    ] {
        assert_eq!(rejected(&fleet, &near, &json!([])), expect, "{near}");
    }
}

#[test]
fn a_pod_stays_off_the_domains_of_those_that_keep_it_away() {
    let web = || term("zone", &json!({"app": "web"}));
    for (namespace, far, expect) in [
        ("shop", json!([web()]), "a1 a2"),
        ("shop", json!([term("host", &json!({"app": "web"}))]), "a1"),
        ("shop", json!([term("zone", &json!({"app": "db"}))]), ""),
        ("infra", json!([web()]), ""),
        (
            "infra",
            json!([with(web(), "namespaces", json!(["shop"]))]),
            "a1 a2",
        ),
        (
            "infra",
            json!([with(
                web(),
                "namespaceSelector",
                json!({"matchLabels": {"team": "x"}})
            )]),
            "a1 a2",
        ),
        (
            "shop",
            json!([{"topologyKey": "zone", "labelSelector": {"matchExpressions": [
                {"key": "app", "operator": "NotIn", "values": ["db"]}]}}]),
            "a1 a2",
        ),
        (
            "shop",
            json!([{"topologyKey": "zone", "labelSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["db", "web"]}]}}]),
            "a1 a2",
        ),
        ("shop", json!([term("rack", &json!({"app": "web"}))]), ""),
    ] {
        let fleet = fleet(&[(namespace, "a1", json!({}), far.clone())]);
        assert_eq!(
            rejected(&fleet, &json!([]), &json!([])),
            expect,
            "{namespace} {far}"
        );
    }
}

#[test]
fn a_rule_that_rejects_says_of_what() {
    let pods = [
        ("shop", "a1", json!({"app": "db"}), json!([])),
        (
            "shop",
            "b1",
            json!({}),
            json!([term("host", &json!({"app": "web"}))]),
        ),
    ];
    let fleet = fleet(&pods);
    let term = |labels: Value| from_value(term("zone", &labels)).unwrap();
    let rules = PodRules {
        namespace: "shop".to_owned(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        near: vec![term(json!({"app": "cache"}))],
        far: vec![term(json!({"app": "db"}))],
    };
    let groups = Pods::new(&fleet)
        .misfits(&rules, &Nodes::new(&fleet))
        .finish();
    let details: Vec<&str> = groups.iter().map(|group| &*group.misfit.detail).collect();
    assert_eq!(
        details,
        [
            "another pod has anti-affinity to pods app=web on the same host (such as shop/p1)",
            "the VM has affinity to pods app=cache on the same zone, and none is there",
            "the VM has anti-affinity to pods app=db on the same zone, and there is one (such as shop/p0)",
        ]
    );
}

/// The nodes at which a pod is rejected, each with why.
fn details(pods: &mut Pods<'_>, rules: &PodRules, nodes: &Nodes<'_>) -> String {
    let groups = pods.misfits(rules, nodes).finish();
    let details = groups.iter().map(|group| {
        let names: Vec<&str> = group.nodes.iter().map(|at| nodes.names[*at]).collect();
        format!("{}: {}", names.join(" "), group.misfit.detail)
    });
    details.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_pod_that_arrives_or_leaves_changes_what_is_rejected() {
    const NOT: &str =
        "the VM has anti-affinity to pods app=db on the same zone, and there is one (such as";
    const ONLY: &str = "the VM has affinity to pods app=db on the same zone, and none is there";
    let db = json!({"app": "db"});
    let fleet = fleet(&[
        ("shop", "a1", db.clone(), json!([term("host", &db)])),
        ("shop", "a2", db.clone(), json!([])),
    ]);
    let nodes = Nodes::new(&fleet);
    let keys: Vec<&ObjectKey> = fleet.pods.keys().collect();
    let rules = |near: &[Value], far: &[Value]| PodRules {
        namespace: "shop".to_owned(),
        labels: [("app".to_owned(), "db".to_owned())].into(),
        near: from_value(json!(near)).unwrap(),
        far: from_value(json!(far)).unwrap(),
    };
    let far = rules(&[], &[term("zone", &db)]);
    let near = rules(&[term("zone", &db)], &[]);
    let mut pods = Pods::new(&fleet);
    let expect = |pods: &mut Pods<'_>, of_far: &str, of_near: &str| {
        assert_eq!(details(pods, &far, &nodes), of_far);
        assert_eq!(details(pods, &near, &nodes), of_near);
    };
    let kept = "another pod has anti-affinity to pods app=db on the same host (such as shop/p0)";
    expect(
        &mut pods,
        &format!("a1: {kept}\na1 a2: {NOT} shop/p0)"),
        &format!("a1: {kept}\nb1 b2 nowhere: {ONLY}"),
    );
    let of_target = format!("{NOT} the target pod of shop/vm)");
    let vm = ObjectKey::new("shop", "vm");
    pods.arrive(&vm, &rules(&[], &[term("host", &db)]), "b1");
    let arrived = "another pod has anti-affinity to pods app=db on the same host (such as the target pod of shop/vm)";
    expect(
        &mut pods,
        &format!("a1: {kept}\nb1: {arrived}\na1 a2: {NOT} shop/p0)\nb1 b2: {of_target}"),
        &format!("a1: {kept}\nb1: {arrived}\nnowhere: {ONLY}"),
    );
    pods.leave(keys[0]);
    expect(
        &mut pods,
        &format!("b1: {arrived}\na1 a2: {NOT} shop/p1)\nb1 b2: {of_target}"),
        &format!("b1: {arrived}\nnowhere: {ONLY}"),
    );
    pods.leave(keys[1]);
    expect(
        &mut pods,
        &format!("b1: {arrived}\nb1 b2: {of_target}"),
        &format!("b1: {arrived}\na1 a2 nowhere: {ONLY}"),
    );
    assert!(pods.concern(&far) && pods.concern(&near));
    assert!(pods.concern(&rules(&[], &[])), "one is kept off by others");
}
