//! VMIs that receive a decentralized migration: `status.nodeName` is where the last target pod was,
//! and what is true of the VM is said by the VMI that sends it.

use serde_json::{Map, Value, json};

use crate::support::{Asked, fault, item, items};

/// VMI `other/web`, on its second attempt to receive `default/web` from el9-0. Its first target pod
/// was on el9-1.
fn cluster() -> Value {
    fault("receive-second-attempt")["snapshot"].clone()
}

/// The call for its target pod, about all nodes.
fn call() -> Value {
    let mut call = fault("receive-second-attempt")["filter"].clone();
    call["NodeNames"] = json!(["el9-0", "el9-1", "el9-2"]);
    call
}

fn vmi<'a>(cluster: &'a mut Value, namespace: &str) -> &'a mut Value {
    items(cluster)
        .iter_mut()
        .find(|item| {
            item["kind"] == "VirtualMachineInstance" && item["metadata"]["namespace"] == namespace
        })
        .unwrap()
}

fn receiver(cluster: &mut Value) -> &mut Value {
    vmi(cluster, "other")
}

fn source_state(cluster: &mut Value) -> &mut Value {
    &mut receiver(cluster)["status"]["migrationState"]["sourceState"]
}

fn remove(object: &mut Value, key: &str) {
    object.as_object_mut().unwrap().remove(key).unwrap();
}

fn unmark(cluster: &mut Value) {
    let annotations = &mut receiver(cluster)["metadata"]["annotations"];
    remove(annotations, "kubevirt.io/create-migration-target");
}

fn without_sender(cluster: &mut Value) {
    items(cluster).retain(|item| {
        item["kind"] != "VirtualMachineInstance" || item["metadata"]["namespace"] != "default"
    });
}

/// The nodes that are rejected, by filter in both forms and by preempt alike.
async fn rejected(cluster: &Value) -> Value {
    let asked = Asked::new(cluster, "");
    let by_name = call();
    let names = by_name["NodeNames"].as_array().unwrap().clone();
    let mut whole = by_name.clone();
    let nodes = cluster["items"].as_array().unwrap().iter();
    let nodes: Vec<&Value> = nodes.filter(|item| item["kind"] == "Node").collect();
    whole["NodeNames"] = json!(null);
    whole["Nodes"] = json!({"metadata": {}, "items": nodes});
    let [by_name, whole] = [by_name, whole].map(async |call: Value| {
        let reply = asked.ask("/scheduler/filter", call.to_string()).await;
        assert_eq!(
            (&reply["Error"], &reply["FailedNodes"]),
            (&json!(""), &json!({}))
        );
        reply["FailedAndUnresolvableNodes"].clone()
    });
    let rejected = by_name.await;
    assert_eq!(whole.await, rejected);

    let victims = |names: &mut dyn Iterator<Item = &Value>| -> Value {
        let victims = json!({"Pods": [{"UID": "v"}], "NumPDBViolations": 0});
        let victims = names.map(|name| (name.as_str().unwrap().to_owned(), victims.clone()));
        json!({"NodeNameToMetaVictims": Value::Object(victims.collect())})
    };
    let mut preempt = victims(&mut names.iter());
    preempt["Pod"] = call()["Pod"].clone();
    let kept = asked.ask("/scheduler/preempt", preempt.to_string()).await;
    let passed = |name: &&Value| rejected.get(name.as_str().unwrap()).is_none();
    assert_eq!(kept, victims(&mut names.iter().filter(passed)));
    rejected
}

#[tokio::test]
async fn the_second_attempt_may_go_where_the_first_target_was() {
    let fault = fault("receive-second-attempt");
    let asked = Asked::new(&fault["snapshot"], "");
    let call = fault["filter"].to_string();
    let reply = asked.ask("/scheduler/filter", call).await;
    assert_eq!(fault["expect"], json!({"el9-1": "ok", "el9-2": "ok"}));
    assert_eq!(reply["NodeNames"], json!(["el9-1", "el9-2"]));
}

type Change = fn(&mut Value);

/// The node that is rejected as the source.
const FROM_SENDER: Option<&str> = Some("el9-0");
const FROM_ITSELF: Option<&str> = Some("el9-1");
const NONE: Option<&str> = None;

const SOURCES: &[(&str, Change, Option<&str>)] = &[
    ("as it is", |_| {}, FROM_SENDER),
    // In every phase of a receiver.
    (
        "Scheduling",
        |c| receiver(c)["status"]["phase"] = json!("Scheduling"),
        FROM_SENDER,
    ),
    (
        "Scheduled",
        |c| receiver(c)["status"]["phase"] = json!("Scheduled"),
        FROM_SENDER,
    ),
    (
        "Running, its domain paused until the VM has come",
        |c| receiver(c)["status"]["phase"] = json!("Running"),
        FROM_SENDER,
    ),
    (
        "Running, after a failure",
        |c| {
            receiver(c)["status"]["phase"] = json!("Running");
            let state = &mut receiver(c)["status"]["migrationState"];
            (state["completed"], state["failed"]) = (json!(true), json!(true));
        },
        FROM_SENDER,
    ),
    (
        "Running, after success",
        |c| {
            receiver(c)["status"]["phase"] = json!("Running");
            receiver(c)["status"]["migrationState"]["completed"] = json!(true);
        },
        FROM_ITSELF,
    ),
    ("WaitingForSync, unmarked", unmark, FROM_SENDER),
    // What is left of a migration that is over says nothing.
    (
        "Running, unmarked",
        |c| {
            unmark(c);
            receiver(c)["status"]["phase"] = json!("Running");
        },
        FROM_ITSELF,
    ),
    (
        "Unknown, unmarked",
        |c| {
            unmark(c);
            receiver(c)["status"]["phase"] = json!("Unknown");
        },
        FROM_ITSELF,
    ),
    // KubeVirt before 1.8.4 takes the mark away after a failure, too.
    (
        "Running, unmarked, after a failure",
        |c| {
            unmark(c);
            receiver(c)["status"]["phase"] = json!("Running");
            let state = &mut receiver(c)["status"]["migrationState"];
            (state["completed"], state["failed"]) = (json!(true), json!(true));
        },
        FROM_SENDER,
    ),
    (
        "Scheduled, unmarked",
        |c| {
            unmark(c);
            receiver(c)["status"]["phase"] = json!("Scheduled");
        },
        FROM_SENDER,
    ),
    // A VMI that receives nothing, before its VM has started.
    (
        "Scheduled, without a sender",
        |c| {
            unmark(c);
            receiver(c)["status"]["phase"] = json!("Scheduled");
            remove(&mut receiver(c)["status"], "migrationState");
        },
        NONE,
    ),
    // Which VMI it is.
    (
        "a sender without a name, as KubeVirt leaves it",
        |c| remove(source_state(c), "domainName"),
        FROM_SENDER,
    ),
    (
        "a sender of another name",
        |c| {
            remove(source_state(c), "domainName");
            vmi(c, "default")["metadata"]["name"] = json!("web-before");
        },
        FROM_SENDER,
    ),
    (
        "a sender in another cluster, with the same names",
        |c| source_state(c)["virtualMachineInstanceUID"] = json!("0c1b"),
        NONE,
    ),
    (
        "a sender without a UID",
        |c| remove(source_state(c), "virtualMachineInstanceUID"),
        NONE,
    ),
    (
        "a sender in another namespace than it says",
        |c| source_state(c)["domainNamespace"] = json!("elsewhere"),
        NONE,
    ),
    ("a sender that is gone", without_sender, NONE),
    (
        "no word about a sender",
        |c| remove(&mut receiver(c)["status"]["migrationState"], "sourceState"),
        NONE,
    ),
    (
        "no migration state",
        |c| remove(&mut receiver(c)["status"], "migrationState"),
        NONE,
    ),
    // Where that runs.
    (
        "a sender that does not say where",
        |c| remove(source_state(c), "node"),
        FROM_SENDER,
    ),
    (
        "a sender that says another node",
        |c| source_state(c)["node"] = json!("el9-1"),
        FROM_ITSELF,
    ),
];

#[tokio::test]
async fn the_source_is_where_the_vm_runs_in_this_cluster() {
    for (what, change, source) in SOURCES {
        let mut cluster = cluster();
        change(&mut cluster);
        let expect: Map<String, Value> = source
            .map(|node| (node.to_owned(), json!("migration source node")))
            .into_iter()
            .collect();
        assert_eq!(rejected(&cluster).await, json!(expect), "{what}");
    }
}

#[tokio::test]
async fn the_machine_type_is_the_one_that_libvirt_resolved_at_the_source() {
    let rejected_by = |machine_type: &str| {
        let text = format!("machine type {machine_type} not supported");
        json!({"el9-2": text})
    };
    let cases: &[(&str, Change, Value)] = &[
        (
            "a sender of this cluster",
            |_| {},
            rejected_by("pc-q35-rhel9.2.0"),
        ),
        (
            "a sender of another cluster",
            |c| source_state(c)["virtualMachineInstanceUID"] = json!("0c1b"),
            json!({}),
        ),
        ("a sender that is gone", without_sender, json!({})),
        (
            "a sender whose type libvirt has not resolved yet",
            |c| remove(&mut vmi(c, "default")["status"], "machine"),
            json!({}),
        ),
        (
            "a type of its own, where the sender is not known",
            |c| {
                without_sender(c);
                receiver(c)["status"]["machine"] = json!({"type": "pc-q35-rhel9.4.0"});
            },
            rejected_by("pc-q35-rhel9.4.0"),
        ),
        (
            "a type of its own beside the sender's",
            |c| receiver(c)["status"]["machine"] = json!({"type": "pc-q35-rhel9.4.0"}),
            rejected_by("pc-q35-rhel9.2.0"),
        ),
    ];
    for (what, change, expect) in cases {
        let mut cluster = cluster();
        receiver(&mut cluster)["spec"]["domain"]["machine"]["type"] = json!("q35");
        // A node of another release, on which q35 means another type.
        let labels = &mut item(&mut cluster, "Node", "el9-2")["metadata"]["labels"];
        let types = |key: &str| key.starts_with("machine-type.") && key.contains("-rhel9");
        labels.as_object_mut().unwrap().retain(|key, _| !types(key));
        change(&mut cluster);
        let mut rejected = rejected(&cluster).await;
        rejected.as_object_mut().unwrap().remove("el9-0");
        assert_eq!(&rejected, expect, "{what}");
    }
}
