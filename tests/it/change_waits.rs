//! A pod that fits nowhere is told so a moment later than it could be: what woke it in kube-scheduler
//! may be on its way to berth.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use berth::config::Config;
use berth::http::{Metrics, Service};
use berth::metrics::Registry;
use berth::snapshot::Stores;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Asked, capture_json, cluster, item, view};

/// A service whose only candidate has no machine type that would do, and its stores.
fn mk_service() -> (Arc<Asked>, Stores, Value) {
    let mut cluster = cluster();
    let labels = &mut item(&mut cluster, "Node", "el9-1")["metadata"]["labels"];
    let labels = labels.as_object_mut().unwrap();
    labels.remove("machine-type.node.kubevirt.io/pc-q35-rhel9.2.0");
    let stores = Stores::from(Arc::new(ArcSwap::from_pointee(view(&cluster))));
    let config = Config::default();
    let registry = Registry::default();
    let service = Service::new(
        stores.clone(),
        None,
        None,
        config.policy(),
        Metrics::register(&registry).unwrap(),
        &config.limits,
    );
    let mut args = capture_json("filter-names-migration");
    args["NodeNames"] = json!(["el9-1"]);
    (Arc::new(Asked { service, registry }), stores, args)
}

async fn passes(asked: Arc<Asked>, args: Value) -> bool {
    let reply = asked.ask("/scheduler/filter", args.to_string()).await;
    reply["NodeNames"] == json!(["el9-1"])
}

#[tokio::test(start_paused = true)]
async fn what_comes_a_moment_after_the_question_is_in_the_answer() {
    let (asked, stores, args) = mk_service();
    let begun = Instant::now();
    let answer = tokio::spawn(passes(Arc::clone(&asked), args));
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Something else first, which does not help.
    stores.changes.southbound_changed();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!answer.is_finished());
    stores.cluster.store(Arc::new(view(&cluster())));
    stores.changes.cluster_changed();
    assert!(answer.await.unwrap());
    assert_eq!(begun.elapsed(), Duration::from_millis(40));
    // One answer, whatever was tried for it.
    let judged = r#"berth_extender_requests_total{outcome="judged",verb="filter"}"#;
    assert_eq!(asked.metric(judged), 1.0);
    let rejected = r#"berth_nodes_judged_total{reason="machine_type",verdict="rejected"}"#;
    assert_eq!(asked.metric(rejected), 0.0);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_comes_the_answer_does_and_after_some_the_next_one_does_not_wait() {
    let (asked, _sources, args) = mk_service();
    let waits = async |pause: u64| {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let begun = Instant::now();
        assert!(!passes(Arc::clone(&asked), args.clone()).await);
        begun.elapsed().as_millis()
    };
    for _ in 0..5 {
        assert_eq!(waits(0).await, 150);
    }
    assert_eq!(waits(0).await, 0);
    // Two seconds after the first there may be another.
    assert_eq!(waits(1_200).await, 0);
    assert_eq!(waits(100).await, 150);
    assert_eq!(waits(0).await, 0);
}
