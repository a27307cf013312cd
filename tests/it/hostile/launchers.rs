//! Pods that look like the targets of migrations, made by a tenant: they move no score and no gauge.

use serde_json::{Value, json};

use crate::support::{Asked, capture_json, cluster, item, items};

const NODE: &str = "el9-1";

/// How many of them there are.
const PODS: usize = 50;

/// Pods on one node with the labels of a migration's target, and whatever else is done to each.
fn with_pods(mut cluster: Value, change: impl Fn(&mut Value)) -> Value {
    let target = item(&mut cluster, "Pod", "virt-launcher-web-flptl").clone();
    for number in 0..PODS {
        let mut pod = target.clone();
        pod["metadata"]["name"] = json!(format!("forged-{number:02}"));
        pod["spec"]["nodeName"] = json!(NODE);
        change(&mut pod);
        items(&mut cluster).push(pod);
    }
    cluster
}

/// The score of the node, and how many migrations arrive on it.
async fn seen(cluster: &Value) -> (Value, f64) {
    let asked = Asked::new(cluster, "");
    let call = capture_json("prioritize-names-migration-no-selector").to_string();
    let scores = asked.ask("/scheduler/prioritize", call).await;
    let mut scores = scores.as_array().unwrap().iter();
    let score = scores.find(|score| score["Host"] == NODE).unwrap();
    let series = format!("berth_migrations_arriving{{node=\"{NODE}\"}}");
    let text = asked.registry.encode().unwrap();
    let arriving = text.lines().find_map(|line| line.strip_prefix(&series));
    let arriving = arriving.map_or(0.0, |value| value.trim().parse().unwrap());
    (score["Score"].clone(), arriving)
}

#[tokio::test]
async fn pods_that_only_look_like_targets_count_nowhere() {
    type Change = fn(&mut Value);
    let quiet = seen(&cluster()).await;
    assert_eq!(quiet, (json!(10), 0.0));
    let mut with_more = cluster();
    items(&mut with_more).extend([
        // A migration of another VMI, one that has ended, and one in another namespace.
        mk_migration("default", "m-db", "db", "Running"),
        mk_migration("default", "m-over", "web", "Failed"),
        mk_migration("tenant", "m-tenant", "web", "Running"),
    ]);
    let cases: &[(&str, Change)] = &[
        ("owned by none", |pod| {
            pod["metadata"]["ownerReferences"] = json!([]);
        }),
        ("a VMI that does not control it", |pod| {
            pod["metadata"]["ownerReferences"][0]["controller"] = json!(false);
        }),
        ("a VMI that was there before", |pod| {
            pod["metadata"]["ownerReferences"][0]["uid"] = json!("before");
        }),
        ("a VMI that is not there", |pod| {
            pod["metadata"]["ownerReferences"][0]["name"] = json!("nobody");
        }),
        ("a VMI of another namespace", |pod| {
            pod["metadata"]["namespace"] = json!("tenant");
        }),
        ("a VMI and a migration of another namespace", |pod| {
            pod["metadata"]["namespace"] = json!("tenant");
            pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("m-tenant");
        }),
        ("another VMI's migration", |pod| {
            pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("m-db");
        }),
        ("a migration that has ended", |pod| {
            pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("m-over");
        }),
        ("a migration that is not there", |pod| {
            pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("m-none");
        }),
        ("a migration without a UID", |pod| {
            pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("");
        }),
    ];
    for (what, change) in cases {
        let cluster = with_pods(with_more.clone(), change);
        assert_eq!(seen(&cluster).await, quiet, "{what}");
    }
}

#[tokio::test]
async fn pods_that_forge_a_whole_target_count_as_the_one_that_its_migration_has() {
    // The captured migration of `web` has its target on another node, which comes first by name or
    // does not: either way there is one.
    for name in ["a", "z"] {
        let cluster = with_pods(cluster(), |pod| {
            let forged = pod["metadata"]["name"].as_str().unwrap();
            pod["metadata"]["name"] = json!(format!("{name}-{forged}"));
        });
        let arriving = f64::from(u8::from(name == "a"));
        assert_eq!(seen(&cluster).await.1, arriving, "{name}");
    }
}

fn mk_migration(namespace: &str, uid: &str, vmi: &str, phase: &str) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration",
        "metadata": {"namespace": namespace, "name": uid, "uid": uid},
        "spec": {"vmiName": vmi}, "status": {"phase": phase},
    })
}
