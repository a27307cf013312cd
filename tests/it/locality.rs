//! Scores by what is local in a real OVN: northd, ovn-controllers, and ports that come, move and go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::ovn_lab::Lab;
use crate::southbound::{Following, PATIENT, chassis};
use crate::support::{self, capture_json};

const NODES: [&str; 3] = ["el9-1", "el9-2", "el9-3"];

/// A VPC of the switches `s1` and `s2`, and a switch `net` of a Multus network beside it. VM `web` has
/// a port on `s1`.
fn start(config: &str, stale_after: Duration) -> Option<(Lab, Following)> {
    let mut lab = Lab::start()?;
    for (number, node) in (2..).zip(NODES) {
        lab.add(node, &chassis(number));
    }
    let router = "lr-add r -- lrp-add r r-s1 00:00:00:00:01:01 10.0.1.1/24 -- lrp-add r r-s2 00:00:00:00:02:01 10.0.2.1/24";
    let switches = ["s1", "s2"].map(|switch| {
        format!("ls-add {switch} -- lsp-add {switch} {switch}-r -- lsp-set-type {switch}-r router -- lsp-set-addresses {switch}-r router -- lsp-set-options {switch}-r router-port=r-{switch}")
    });
    let [s1, s2] = &switches;
    nbctl(&lab, &format!("{router} -- {s1} -- {s2} -- ls-add net"));
    add(&lab, "s1", "web.default", "default/web");
    add(&lab, "s2", "pod.other", "other/pod");
    add(&lab, "net", "pod.other.net.default.ovn", "other/pod");
    let following = Following::start(&lab.southbound, config, stale_after);
    Some((lab, following))
}

fn nbctl(lab: &Lab, args: &str) {
    lab.nbctl(&args.split_ascii_whitespace().collect::<Vec<_>>());
}

/// A port as Kube-OVN makes it.
fn add(lab: &Lab, switch: &str, port: &str, pod: &str) {
    let ids = format!("external_ids:pod={pod} external_ids:vendor=kube-ovn");
    nbctl(
        lab,
        &format!(
            "lsp-add {switch} {port} -- lsp-set-addresses {port} dynamic -- set Logical_Switch_Port {port} {ids}"
        ),
    );
}

/// Waits until the nodes have these scores, whichever form they are asked about in.
async fn until(following: &Following, expect: [u8; 3]) {
    let mut call = capture_json("filter-names-migration");
    assert_eq!(call["Pod"]["metadata"]["ownerReferences"][0]["name"], "web");
    call["NodeNames"] = json!(NODES);
    let expect: BTreeMap<_, _> = NODES.into_iter().zip(expect).collect();
    let mut last = String::new();
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let reply = following
                .asked
                .ask("/scheduler/prioritize", call.to_string());
            let reply = reply.await;
            let scores = reply.as_array().unwrap().iter();
            let scores: BTreeMap<_, _> = scores
                .map(|one| {
                    (
                        one["Host"].as_str().unwrap(),
                        one["Score"].as_u64().unwrap(),
                    )
                })
                .collect();
            if expect
                .iter()
                .all(|(node, score)| scores[node] == u64::from(*score))
            {
                return;
            }
            last = format!("{scores:?}");
            tokio::task::yield_now().await;
        }
    });
    let waited = waited.await;
    assert!(waited.is_ok(), "{last}, not {expect:?}");
}

/// Waits until so many ports are known.
async fn ports(following: &Following, count: f64) {
    let known = || following.asked.metric("berth_southbound_ports");
    support::until("the ports", || known() == count).await;
}

/// ovn-controller has made flows for a switch on these nodes and on no others.
#[track_caller]
fn flows(lab: &Lab, switch: &str, nodes: &[&str]) {
    lab.nbctl(&["sync"]);
    let local = NODES.into_iter().filter(|node| lab.has_flows(node, switch));
    assert_eq!(local.collect::<Vec<_>>(), nodes, "{switch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_scores_follow_where_the_networks_of_a_vm_are_local() {
    let Some((lab, following)) = start("", PATIENT) else {
        return;
    };
    // Until anything of the VM is bound, no node is better than another.
    ports(&following, 7.0).await;
    until(&following, [10, 10, 10]).await;

    lab.plug("el9-1", "web.default");
    until(&following, [10, 4, 4]).await;
    flows(&lab, "s1", &["el9-1"]);

    // A port of another switch of the VPC makes all of the VPC local.
    lab.plug("el9-2", "pod.other");
    until(&following, [10, 10, 4]).await;
    flows(&lab, "s1", &["el9-1", "el9-2"]);

    // The gateway of the VPC does so as well, and what is behind it does not.
    add(&lab, "net", "web.default.net.default.ovn", "default/web");
    nbctl(
        &lab,
        "ls-add ext -- lsp-add ext ext-r -- lsp-set-type ext-r router -- lsp-set-addresses ext-r router -- lsp-set-options ext-r router-port=r-ext -- lrp-add r r-ext 00:00:00:00:03:01 10.0.3.1/24",
    );
    let gateway = format!("lrp-set-gateway-chassis r-ext {} 1", chassis(4));
    nbctl(&lab, &gateway);
    // Of the VM's two switches, each of the three has the one in the VPC.
    until(&following, [10, 10, 10]).await;
    flows(&lab, "s1", &NODES);

    lab.plug("el9-2", "pod.other.net.default.ovn");
    until(&following, [4, 10, 4]).await;
    flows(&lab, "net", &["el9-2"]);

    nbctl(
        &lab,
        &format!("lrp-del-gateway-chassis r-ext {}", chassis(4)),
    );
    nbctl(&lab, "lrp-del r-ext");
    until(&following, [7, 10, 4]).await;

    // A switch that leaves the VPC takes what it made local along. (ovn-controller itself keeps the
    // flows until it next computes everything anew.)
    nbctl(&lab, "lrp-del r-s2");
    until(&following, [10, 10, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_scores_follow_a_port_that_moves_as_a_migration_moves_it() {
    let Some((mut lab, following)) = start("", PATIENT) else {
        return;
    };
    lab.plug("el9-1", "web.default");
    until(&following, [10, 4, 4]).await;
    let options = "lsp-set-options web.default activation-strategy=rarp requested-chassis";
    nbctl(&lab, &format!("{options}=el9-1,el9-3"));
    // What is asked for is not there yet. berth knows of it when it knows of what came after.
    nbctl(&lab, "lsp-add s2 later");
    ports(&following, 8.0).await;
    until(&following, [10, 4, 4]).await;
    lab.plug("el9-3", "web.default");
    until(&following, [10, 4, 10]).await;
    flows(&lab, "s1", &["el9-1", "el9-3"]);
    nbctl(&lab, &format!("{options}=el9-3"));
    until(&following, [4, 4, 10]).await;
    lab.unplug("el9-1", "web.default");
    // From OVN 25.09 on, ovn-controller keeps the flows until it computes everything anew.
    lab.kill_controller("el9-1");
    lab.start_controller("el9-1");
    flows(&lab, "s1", &["el9-3"]);
    nbctl(&lab, "lsp-del web.default");
    until(&following, [10, 10, 10]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_scores_leave_out_a_database_that_is_out_of_reach() {
    let Some((mut lab, following)) = start("", Duration::from_secs(2)) else {
        return;
    };
    lab.plug("el9-1", "web.default");
    until(&following, [10, 4, 4]).await;
    lab.southbound.kill();
    until(&following, [10, 10, 10]).await;
    lab.southbound.start(&lab.ovn);
    until(&following, [10, 4, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_ports_are_not_read_where_no_score_counts_them() {
    for (config, ports) in [("", 7.0), ("scoring: {locality: 0}", 0.0)] {
        let Some((_lab, following)) = start(config, PATIENT) else {
            return;
        };
        let found = || {
            let metric = |name: &str| following.asked.metric(name);
            [
                metric("berth_southbound_chassis"),
                metric("berth_southbound_ports"),
            ]
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while found() != [3.0, ports] {
                tokio::task::yield_now().await;
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "{config:?}: {:?}", found());
    }
}
