//! Objects that tenants make large: a list or a watch holds one of them at a time, and one that is
//! larger than any should be is passed over, by name.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::apiserver::ApiServer;
use crate::live::{captured, load};
use crate::process::{Served, get};
use crate::support::until;

const MIB: usize = 1 << 20;

/// A launcher pod that a migration seems to have made, of so many bytes.
fn mk_pod(name: &str, bytes: usize) -> Value {
    let mut pod = captured("Pod", "virt-launcher-web-gfvqz");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["uid"] = json!(name);
    pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("m");
    pod["metadata"]["annotations"]["large"] = json!("x".repeat(bytes));
    pod
}

fn metric(served: &Served, series: &str) -> f64 {
    let (_, metrics) = get(served.admin, "/metrics");
    let value = metrics.lines().find_map(|line| line.strip_prefix(series));
    value.expect(series).trim().parse().unwrap()
}

/// Waits until there are so many targets, or more.
async fn until_targets(served: &Served, count: f64) {
    let waited = timeout(Duration::from_mins(5), async {
        while metric(served, TARGETS) < count {
            sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("so many targets");
}

const TARGETS: &str = r#"berth_cluster_objects{kind="target_pod"}"#;
const UNREADABLE: &str = r#"berth_watch_unreadable_objects_total{kind="target_pod"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_of_tenants_are_listed_and_watched_one_at_a_time() {
    const PODS: u32 = 250;
    const LARGE: usize = 1_300_000;
    // The program itself, in a build for tests, and a few of the pods.
    const MOST: usize = 128 * MIB;
    let server = ApiServer::start();
    load(&server);
    for index in 0..PODS {
        server.apply(mk_pod(&format!("large-{index}"), LARGE));
    }
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let served = Served::start_on(&["--kubeconfig", kubeconfig.to_str().unwrap()]);
    until_targets(&served, f64::from(PODS) + 1.0).await;
    let peak = served.memory("VmHWM");
    assert!(peak < MOST, "{peak} bytes");

    let listed = metric(&served, TARGETS);
    server.apply(mk_pod("watched", LARGE));
    until_targets(&served, listed + 1.0).await;
    let peak = served.memory("VmHWM");
    assert!(peak < MOST, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_too_large_is_named_and_is_as_if_it_were_not_there() {
    const TOO_LARGE: usize = 9 * MIB;
    let server = ApiServer::start();
    load(&server);
    server.apply(mk_pod("grows", 10));
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let flags = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    let served = Served::start_on(&flags);
    server.wait_for_watches(2, "pods").await;
    until_targets(&served, 1.0).await;
    let before = metric(&served, TARGETS);

    server.apply(mk_pod("grows", TOO_LARGE));
    let line = served.line_that("the pod is named", |line| line["object"] == "default/grows");
    let message = line["message"].as_str().unwrap();
    assert!(
        message.starts_with("an object can't be decoded, and is treated as absent: it has 9")
            && message.ends_with(" bytes, and no object of more than 8388608 is read"),
        "{message}"
    );
    until("it is gone", || metric(&served, TARGETS) < before).await;
    assert_eq!(metric(&served, UNREADABLE), 1.0);

    // It is not there for one that lists it either.
    let other = Served::start_on(&flags);
    until_targets(&other, before - 1.0).await;
    assert_eq!(metric(&other, TARGETS), before - 1.0);
    assert_eq!(metric(&other, UNREADABLE), 1.0);

    server.apply(mk_pod("grows", 10));
    until_targets(&served, before).await;
}
