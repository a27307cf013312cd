//! What `berth check -A` costs in a cluster of 500 nodes and 5,000 VMs: the lists, the judgement of all VMs
//! after they have arrived, and the memory. `cargo bench --bench check` makes the cluster in the tests'
//! stand-in for kube-apiserver, judges it in this process, and runs the release binary for the memory.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark that can't run ends with a message, and one that can prints"
)]

#[path = "../tests/apiserver/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod apiserver;
#[path = "shared/capture.rs"]
mod capture;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use apiserver::ApiServer;
use berth::api::client;
use berth::check::report::{CheckReport, Item};
use berth::config::Config;
use berth::fleet::judge::{Body, Judge};
use berth::fleet::load;
use berth::snapshot::Snapshot;
use capture::{captured, items, node_name, uid};
use serde_json::json;

const NODES: usize = 500;
const VMS: usize = 5_000;

/// VMs of one size have equal requests; a cluster has some sizes.
const SIZES: usize = 40;

/// Labels of a node in a real cluster.
const LABELS: usize = 200;

fn main() {
    let server = cluster();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config::default();
    let begun = Instant::now();
    let loaded = runtime.block_on(async {
        let connected = client::choose(Some(&kubeconfig), None).await.unwrap();
        load::from_api(&connected.client, &config.network(), None)
            .await
            .unwrap()
    });
    let listed = begun.elapsed();
    assert_eq!(loaded.fleet.nodes.len(), NODES);
    assert_eq!(loaded.fleet.vms.len(), VMS);
    let begun = Instant::now();
    let snapshot = Snapshot::from(&loaded.view);
    let policy = config.policy();
    let mut judge = Judge::new(&loaded.fleet, &snapshot, &policy);
    let items = Body::all(&loaded.fleet).map(|body| Item::new(&judge.judge(body), |_| false));
    let report = CheckReport::new(items.collect());
    let text = serde_json::to_string(&report).unwrap();
    let judged = begun.elapsed();
    let targets = report.items.iter().map(|item| item.targets.len());
    let targets = targets.sum::<usize>() / VMS;
    println!(
        "{:>6} {:>6} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "nodes", "VMs", "targets", "JSON MB", "lists s", "judge s", "whole s", "peak MiB"
    );
    let (whole, peak) = program(&kubeconfig);
    println!(
        "{NODES:>6} {VMS:>6} {targets:>8} {:>8} {:>9.2} {:>9.2} {:>9.2} {peak:>9.1}",
        text.len() / 1_000_000,
        listed.as_secs_f64(),
        judged.as_secs_f64(),
        whole.as_secs_f64(),
    );
}

/// How long the program takes, and the most memory that it had (MiB).
fn program(kubeconfig: &Path) -> (Duration, f64) {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(["check", "-A", "-o", "json", "--kubeconfig"])
        .arg(kubeconfig)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.split_whitespace().next()) {
            peak = kib.parse::<f64>().unwrap() / 1024.0;
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(1), "some VMs have warnings");
            return (begun.elapsed(), peak);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A cluster in which every node runs ten VMs, each of one of some sizes.
fn cluster() -> ApiServer {
    let server = ApiServer::start();
    for item in items() {
        if item["kind"] == "Namespace" || item["kind"] == "KubeVirt" {
            server.apply(item);
        }
    }
    let mut node = captured("Node", "el9-1");
    let labels = node["metadata"]["labels"].as_object_mut().unwrap();
    for i in labels.len()..LABELS {
        let feature = format!("cpu-feature.node.kubevirt.io/feature-{i}");
        labels.insert(feature, json!("true"));
    }
    let agents = ["ovs-ovn-el9-11", "kube-ovn-cni-el9-11"].map(|name| captured("Pod", name));
    for i in 0..NODES {
        node["metadata"]["name"] = json!(node_name(i));
        node["metadata"]["labels"]["kubernetes.io/hostname"] = json!(node_name(i));
        node["metadata"]["annotations"]["ovn.kubernetes.io/chassis"] = json!(uid(i));
        server.apply(node.clone());
        for agent in &agents {
            let mut pod = agent.clone();
            pod["metadata"]["name"] = json!(format!("{}-{i}", agent["metadata"]["name"]));
            pod["spec"]["nodeName"] = json!(node_name(i));
            server.apply(pod);
        }
    }
    let vm = captured("VirtualMachine", "db");
    let vmi = captured("VirtualMachineInstance", "db");
    let launcher = captured("Pod", "virt-launcher-db-msf88");
    for i in 0..VMS {
        let name = format!("vm-{i:05}");
        let mut vm = vm.clone();
        vm["metadata"]["name"] = json!(name);
        server.apply(vm);
        let mut vmi = vmi.clone();
        vmi["metadata"]["name"] = json!(name);
        vmi["metadata"]["uid"] = json!(uid(i));
        vmi["status"]["nodeName"] = json!(node_name(i % NODES));
        server.apply(vmi);
        let mut pod = launcher.clone();
        pod["metadata"]["name"] = json!(format!("virt-launcher-{name}-abcde"));
        let owner = &mut pod["metadata"]["ownerReferences"][0];
        owner["name"] = json!(name);
        owner["uid"] = json!(uid(i));
        pod["metadata"]["labels"]["kubevirt.io/created-by"] = json!(uid(i));
        pod["spec"]["nodeName"] = json!(node_name(i % NODES));
        let memory = format!("{}Mi", 1024 + 512 * (i % SIZES));
        pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = json!(memory);
        server.apply(pod);
    }
    server
}
