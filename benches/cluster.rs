//! What a live cluster costs: memory at rest and at its height, the way to ready, and events, at
//! three sizes of cluster. `cargo bench --bench cluster` runs the release binary as a process of its
//! own against the tests' stand-in for kube-apiserver, and prints a table; and another with a real
//! southbound database beside it.

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
#[path = "cluster/chassis.rs"]
mod chassis;
#[path = "../tests/it/ovn_lab.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod ovn_lab;
#[path = "../tests/it/tools.rs"]
mod tools;

#[path = "shared/process.rs"]
#[expect(dead_code, reason = "the load uses the rest")]
mod process;

use apiserver::ApiServer;
use capture::{captured, items, node_name, uid};
use process::Berth;
use serde_json::{Value, json};

/// Nodes, and four VMIs a node, each with the launcher pod of a migration it once had.
const SIZES: [usize; 3] = [50, 500, 5_000];
const VMIS_PER_NODE: usize = 4;

/// Labels of a node in a real cluster.
const LABELS: usize = 200;

const EVENTS: usize = 10_000;

fn main() {
    println!(
        "{:>6} {:>6} {:>9} {:>9} {:>10} {:>10} {:>11} {:>11} {:>11}",
        "nodes", "VMIs", "ready s", "cpu s", "peak MiB", "idle MiB", "node µs", "beat µs", "VMI µs"
    );
    for size in SIZES {
        let cluster = Cluster::new(size);
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = cluster.server.kubeconfig(dir.path());
        let kubeconfig = ["--kubeconfig", kubeconfig.to_str().unwrap()];
        let berth = Berth::start_until("the cluster view is complete", &kubeconfig);
        let (ready, cpu) = (berth.begun.elapsed(), berth.cpu());
        berth.rest();
        let (peak, idle) = (berth.memory("VmHWM"), berth.memory("VmRSS"));
        let [node, beat, vmi] = [
            cost_of(&berth, |i| cluster.change_a_node(i)),
            cost_of(&berth, |i| cluster.beat_of_a_node(i)),
            cost_of(&berth, |i| cluster.change_a_vmi(i)),
        ];
        println!(
            "{size:>6} {:>6} {:>9.2} {:>9.2} {peak:>10.1} {idle:>10.1} {node:>11.1} {beat:>11.1} {vmi:>11.1}",
            size * VMIS_PER_NODE,
            ready.as_secs_f64(),
            cpu.as_secs_f64(),
        );
    }
    chassis::measure();
}

/// A stand-in with so much in it.
struct Cluster {
    server: ApiServer,
    node: Value,
    vmi: Value,
}

impl Cluster {
    fn new(size: usize) -> Self {
        let cluster = Self::with_nodes(size);
        let launcher = captured("Pod", "virt-launcher-web-flptl");
        for i in 0..size * VMIS_PER_NODE {
            cluster.server.apply(cluster.mk_vmi(i));
            let mut pod = launcher.clone();
            pod["metadata"]["name"] = json!(format!("virt-launcher-vm-{i:05}-abcde"));
            let labels = &mut pod["metadata"]["labels"];
            labels["kubevirt.io/migrationJobUID"] = json!(uid(i + 1_000_000));
            pod["spec"]["nodeName"] = json!(node_name(i / VMIS_PER_NODE));
            cluster.server.apply(pod);
        }
        cluster
    }

    /// Nodes and their agents alone.
    fn with_nodes(size: usize) -> Self {
        let mut node = captured("Node", "el9-1");
        let labels = node["metadata"]["labels"].as_object_mut().unwrap();
        for i in labels.len()..LABELS {
            let feature = format!("cpu-feature.node.kubevirt.io/feature-{i}");
            labels.insert(feature, json!("true"));
        }
        let cluster = Self {
            server: ApiServer::start(),
            node,
            vmi: captured("VirtualMachineInstance", "web"),
        };
        let agents = [
            captured("Pod", "ovs-ovn-el9-11"),
            captured("Pod", "kube-ovn-cni-el9-11"),
        ];
        for item in items() {
            if item["kind"] == "Namespace" || item["kind"] == "KubeVirt" {
                cluster.server.apply(item);
            }
        }
        for i in 0..size {
            cluster.server.apply(cluster.mk_node(i));
            for agent in &agents {
                let mut pod = agent.clone();
                pod["metadata"]["name"] = json!(format!("{}-{i}", agent["metadata"]["name"]));
                pod["spec"]["nodeName"] = json!(node_name(i));
                cluster.server.apply(pod);
            }
        }
        cluster
    }

    fn mk_node(&self, i: usize) -> Value {
        let mut node = self.node.clone();
        node["metadata"]["name"] = json!(node_name(i));
        node["metadata"]["annotations"]["ovn.kubernetes.io/chassis"] = json!(uid(i));
        node
    }

    fn mk_vmi(&self, i: usize) -> Value {
        let mut vmi = self.vmi.clone();
        vmi["metadata"]["name"] = json!(format!("vm-{i:05}"));
        vmi["metadata"]["uid"] = json!(uid(i));
        vmi["status"]["nodeName"] = json!(node_name(i / VMIS_PER_NODE));
        vmi
    }

    fn change_a_node(&self, event: usize) {
        let mut node = self.mk_node(event % 50);
        node["metadata"]["annotations"]["ovn.kubernetes.io/chassis"] = json!(uid(event + 100_000));
        self.server.apply(node);
    }

    fn beat_of_a_node(&self, event: usize) {
        let mut node = self.mk_node(event % 50);
        // As the last change left it.
        let annotations = &mut node["metadata"]["annotations"];
        annotations["ovn.kubernetes.io/chassis"] = json!(uid(EVENTS - 50 + event % 50 + 100_000));
        annotations["kubevirt.io/heartbeat"] = json!(event.to_string());
        self.server.apply(node);
    }

    fn change_a_vmi(&self, event: usize) {
        let mut vmi = self.mk_vmi(event % 50);
        vmi["status"]["nodeName"] = json!(node_name(event % 49));
        self.server.apply(vmi);
    }
}

/// Processor time for an event, in µs.
fn cost_of(berth: &Berth, event: impl Fn(usize)) -> f64 {
    let before = berth.cpu();
    for i in 0..EVENTS {
        event(i);
    }
    berth.rest();
    let events = u32::try_from(EVENTS).unwrap();
    berth.cpu().saturating_sub(before).as_secs_f64() * 1e6 / f64::from(events)
}
