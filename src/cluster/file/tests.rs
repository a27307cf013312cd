//! Snapshot files that are good, and what is said of bad ones.

use super::*;
use crate::cluster::ObjectKind;

const NODE: &str = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}"#;
const OTHER: &str = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}"#;
const NODE_YAML: &str = "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n";

#[track_caller]
fn check_nodes(text: &str, expect: usize) {
    assert_eq!(
        parse(text, &Network::default())
            .unwrap()
            .count(ObjectKind::Node),
        expect,
        "{text}"
    );
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    assert_eq!(
        parse(text, &Network::default()).unwrap_err().to_string(),
        expect,
        "{text}"
    );
}

#[test]
fn lists_typed_lists_objects_and_documents_are_read() {
    check_nodes(NODE, 1);
    check_nodes(&format!("{NODE}\n{OTHER}"), 2);
    check_nodes(&format!("{NODE}\n{NODE}"), 1);
    check_nodes(
        &format!(r#"{{"kind":"List","apiVersion":"v1","items":[{NODE},{OTHER}]}}"#),
        2,
    );
    check_nodes(
        r#"{"kind":"NodeList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}"#,
        1,
    );
    check_nodes(NODE_YAML, 1);
    check_nodes(&format!("---\n{NODE_YAML}---\n{OTHER}\n---\n"), 2);
    check_nodes(r#"{"kind":"List","items":[]}"#, 0);
    // Longhorn's and others' nodes are no other words about the same one.
    let foreign = r#"{"apiVersion":"example.com/v1","kind":"Node","metadata":{"name":"a"}}"#;
    check_nodes(&format!("{NODE}\n{foreign}"), 1);
}

#[test]
fn kinds_and_pods_that_mean_nothing_to_berth_are_passed_over() {
    for text in [
        r#"{"kind":"Secret","apiVersion":"v1","metadata":7}"#,
        r#"{"kind":"Node","apiVersion":"example.com/v1"}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"namespace":"default","labels":{"app":"ovs"}}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"namespace":"kube-system","labels":{"app":"coredns"}}}"#,
    ] {
        assert_eq!(
            parse(text, &Network::default()).unwrap(),
            ClusterView::from_iter([]),
            "{text}"
        );
    }
}

#[test]
fn a_bad_snapshot_says_where_and_what() {
    check_error(
        "{",
        "not JSON: line 1, column 1: it ends too early; was it written to its end?",
    );
    check_error(
        "{\"kind\": \"List\",\n \"items\": [,]}",
        "not JSON: line 2, column 12: expected value",
    );
    check_error("", "the file is empty; did the kubectl that wrote it fail?");
    check_error(
        "[]",
        "document 1 is not a Kubernetes object: it has no kind; kubectl writes them with -o json or -o yaml",
    );
    check_error(
        "{}",
        "document 1 is not a Kubernetes object: it has no kind; kubectl writes them with -o json or -o yaml",
    );
    check_error(
        "hello",
        "document 1 is not a Kubernetes object: it has no kind; kubectl writes them with -o json or -o yaml",
    );
    check_error(
        &format!(r#"{NODE} {{"kind":"NodeList"}}"#),
        "document 2 is a NodeList without items, which kubectl always writes",
    );
    check_error(
        r#"{"kind":"List","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a","labels":7}}]}"#,
        "Node a: invalid type: integer `7`, expected a map of labels in metadata.labels",
    );
    check_error(
        r#"{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","metadata":{"namespace":"default","name":"web"}}"#,
        "VirtualMachineInstance default/web: missing field `uid` in metadata",
    );
    check_error(
        "a: [",
        "not YAML: line 1, column 4: check indentation, quotes, brackets and colons there and just before",
    );
}

#[test]
fn lists_in_lists_are_taken_apart_to_a_depth() {
    let nested = |depth: usize| {
        let begin = r#"{"kind":"List","items":["#.repeat(depth);
        format!("{begin}{NODE}{}", "]}".repeat(depth))
    };
    check_nodes(&nested(DEEPEST), 1);
    let expect = "document 1 has lists in lists in lists, which kubectl never writes";
    check_error(&nested(DEEPEST + 1), expect);
    check_error(&nested(10_000), expect);
}

#[test]
fn a_status_is_what_kubectl_failed_of() {
    for (more, said) in [
        (
            r#","message":"pods is forbidden","reason":"Forbidden""#,
            "pods is forbidden",
        ),
        (r#","reason":"Forbidden""#, "Forbidden"),
        ("", "it does not say why"),
    ] {
        check_error(
            &format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure"{more}}}"#),
            &format!(
                "document 1 is no object of a cluster: the kubectl that wrote the file failed: {said}"
            ),
        );
    }
    check_nodes(
        r#"{"kind":"Status","apiVersion":"v1","status":"Success"}"#,
        0,
    );
}
