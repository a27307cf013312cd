//! Texts that others choose: in an answer they are short, on one line, and repeated for no node.

use berth::cluster::ClusterView;
use berth::decide::policy::Policy;
use berth::http::{filter, mutate};
use berth::snapshot::Snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Asked, capture_json, cluster, item, items, view};

/// The VMI of the capture `filter-names-migration-no-selector`.
const VMI: &str = "legacy";

/// The longest text of a reason, with the quotation marks, colon and comma of its entry.
const LONGEST_ENTRY: usize = "machine type  not supported".len() + 63 + 6;

/// What would act on a terminal, end a line or turn its direction around.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const HOSTILE: &str = "a\nlevel=error msg=forged\r\u{1b}[2J\u{9b}31m\u{85}\u{2028}\u{202e}\0";

#[track_caller]
fn assert_is_for_people(text: &str) {
    let longest = "berth: \n".len() + 400;
    assert!(text.chars().count() <= longest, "{text:?}");
    let line = text.strip_suffix('\n').unwrap_or(text);
    assert!(!line.chars().any(is_hostile), "{text:?}");
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("worker-{index}")).collect()
}

/// The captured cluster with as many nodes more, and machine types of the VMI.
fn mk_cluster(nodes: &[String], asked: &Value, running: &Value) -> Value {
    let mut cluster = cluster();
    let mut node = item(&mut cluster, "Node", "el10-0").clone();
    for name in nodes {
        node["metadata"]["name"] = json!(name);
        items(&mut cluster).push(node.clone());
    }
    let vmi = item(&mut cluster, "VirtualMachineInstance", VMI);
    vmi["spec"]["domain"]["machine"] = json!({"type": asked});
    vmi["status"]["machine"] = json!({"type": running});
    cluster
}

#[tokio::test]
async fn a_machine_type_of_any_length_or_letters_is_not_repeated_for_each_node() {
    let nodes = names(1000);
    let long = json!("x".repeat(200_000));
    let hostile = json!(HOSTILE);
    let unknown = json!("u".repeat(63));
    let not_supported = "machine type not supported".to_owned();
    let unknown_text = format!("machine type {} not supported", "u".repeat(63));
    let mut call = capture_json("filter-names-migration-no-selector");
    call["NodeNames"] = json!(nodes);
    let call = call.to_string();
    for (asked, running, expect) in [
        (&long, &Value::Null, &not_supported),
        (&json!("q35"), &long, &not_supported),
        (&hostile, &Value::Null, &not_supported),
        (&unknown, &Value::Null, &unknown_text),
    ] {
        let service = Asked::new(&mk_cluster(&nodes, asked, running), "");
        let reply = service.ask("/scheduler/filter", call.clone()).await;
        assert_eq!(
            (&reply["Error"], &reply["NodeNames"]),
            (&json!(""), &json!([]))
        );
        let rejected = reply["FailedAndUnresolvableNodes"].as_object().unwrap();
        assert_eq!(rejected.len(), nodes.len());
        assert!(rejected.values().all(|text| text == expect));
        let length = reply.to_string().len();
        assert!(
            length <= call.len() + nodes.len() * LONGEST_ENTRY,
            "{length}"
        );
    }
}

#[tokio::test]
async fn an_answer_grows_with_the_names_of_the_call_and_no_further_than_the_most_nodes() {
    const MOST_NODES: usize = 65_536;
    let longest = json!("u".repeat(63));
    let service = Asked::new(&mk_cluster(&[String::new()], &longest, &Value::Null), "");
    let mut call = capture_json("filter-names-migration-no-selector");
    call["NodeNames"] = json!(vec![""; MOST_NODES]);
    let call = call.to_string();
    let (_, reply) = service.post("/scheduler/filter", call.clone()).await;
    let length = reply.len();
    assert!(length > MOST_NODES * LONGEST_ENTRY, "{length}");
    assert!(
        length <= call.len() + MOST_NODES * LONGEST_ENTRY,
        "{length}"
    );
}

#[tokio::test]
async fn control_characters_of_a_request_are_escaped_in_every_answer_to_people() {
    let service = Asked::new(&cluster(), "");
    let launcher = |metadata: &Value| {
        let mut pod = json!({"metadata": {"labels": {
            "kubevirt.io": "virt-launcher", "kubevirt.io/migrationJobUID": "m",
        }}});
        let fields = metadata.as_object().unwrap().clone();
        pod["metadata"].as_object_mut().unwrap().extend(fields);
        pod
    };
    let owner = json!([{
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "controller": true,
        "name": HOSTILE, "uid": HOSTILE,
    }]);
    let unowned = launcher(&json!({"namespace": HOSTILE, "name": HOSTILE}));
    let unknown = launcher(&json!({"namespace": HOSTILE, "ownerReferences": owner}));
    let bad = json!({"metadata": {"name": {HOSTILE: 1}}});
    let mut errors = 0;
    for body in [
        json!({"Pod": unowned, "NodeNames": ["a"]}),
        json!({"Pod": unknown, "NodeNames": ["a"]}),
        json!({"Pod": bad, "NodeNames": ["a"]}),
        json!({"Pod": {"metadata": HOSTILE}, "NodeNames": ["a"]}),
        json!({"Pod": {"metadata": {}}, "NodeNames": HOSTILE}),
        json!({"Pod": unowned, "Nodes": {"items": [{"metadata": HOSTILE}]}}),
        json!(HOSTILE),
    ] {
        for path in ["filter", "prioritize", "preempt"] {
            let (status, answer) = service
                .post(&format!("/scheduler/{path}"), body.to_string())
                .await;
            if status == 200 {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                let error = answer["Error"].as_str().unwrap_or_default();
                assert_is_for_people(error);
                errors += usize::from(!error.is_empty());
            } else {
                assert_is_for_people(&answer);
            }
        }
    }
    assert!(errors >= 5, "{errors}");

    let review = |object: Value| {
        json!({
            "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": "1", "operation": "CREATE", "name": HOSTILE, "namespace": HOSTILE,
                "kind": {"group": "kubevirt.io", "kind": "VirtualMachine"}, "object": object,
            },
        })
    };
    let mut warned = 0;
    for object in [
        json!({"metadata": HOSTILE}),
        json!({"metadata": {"labels": {HOSTILE: 1, "berth.dev/inject": {HOSTILE: 1}}}}),
        json!({"metadata": {}, "spec": {"template": HOSTILE}}),
    ] {
        let answer = service.ask("/mutate", review(object).to_string()).await;
        for warning in answer["response"]["warnings"].as_array().unwrap() {
            assert_is_for_people(warning.as_str().unwrap());
            warned += 1;
        }
    }
    assert_eq!(warned, 3);
    for body in [
        json!({"kind": HOSTILE, "apiVersion": "admission.k8s.io/v1"}),
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": "1", "kind": {"kind": "x"}, "operation": HOSTILE}}),
        json!({"request": HOSTILE}),
    ] {
        let (status, answer) = service.post("/mutate", body.to_string()).await;
        assert_eq!(status, 400);
        assert_is_for_people(&answer);
    }
    let query = "/mutate?timeout=%0a%1b%5b2J%e2%80%ae%e2%80%a8";
    let (status, answer) = service.post(query, "{}").await;
    assert_eq!(status, 400);
    assert_is_for_people(&answer);
}

/// Any text, with a good part of what does harm.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x20\u{80}-\u{9f}\u{2028}\u{202e}a\"]{0,600}"
    ]
}

proptest! {
    #[test]
    fn no_answer_to_people_holds_a_control_character(
        [namespace, name, uid, other] in [text(), text(), text(), text()],
    ) {
        let owner = json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "controller": true,
            "name": name, "uid": uid,
        });
        let labels = json!({"kubevirt.io": "virt-launcher", "kubevirt.io/migrationJobUID": other});
        let view = view(&cluster());
        for metadata in [
            json!({"namespace": namespace, "name": name, "labels": labels, "ownerReferences": [owner]}),
            json!({"namespace": namespace, "name": name, "labels": labels}),
            json!({"name": name, "labels": other}),
        ] {
            let body = json!({"Pod": {"metadata": metadata}, "NodeNames": [other]}).to_string();
            let answer = filter(&body, &Snapshot::from(&view), &Policy::default(), None).unwrap();
            let reply: Value = serde_json::from_slice(&answer.reply.to_vec()).unwrap();
            let error = reply["Error"].as_str().unwrap();
            prop_assert!(!error.is_empty() && error.chars().count() <= 410);
            prop_assert!(!error.chars().any(is_hostile), "{:?}", error);
            let problem = answer.report.problem.unwrap();
            prop_assert!(!problem.chars().any(is_hostile), "{:?}", problem);
        }
        let review = json!({
            "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": "1", "operation": "CREATE", "name": name, "namespace": namespace,
                "kind": {"group": "kubevirt.io", "kind": "VirtualMachine"},
                "object": {"metadata": {"labels": other}},
            },
        });
        let answer = mutate(&review.to_string(), &ClusterView::default()).unwrap();
        let reply: Value = serde_json::from_slice(&answer.json).unwrap();
        let warning = reply["response"]["warnings"][0].as_str().unwrap();
        prop_assert!(warning.chars().count() <= 120);
        prop_assert!(!warning.chars().any(is_hostile), "{:?}", warning);
        let problem = answer.problem.unwrap();
        prop_assert!(!problem.chars().any(is_hostile), "{:?}", problem);
    }
}
