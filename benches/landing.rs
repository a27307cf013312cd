//! What the first VM of a VPC costs on a chassis, on a real OVN: the time until its port is installed and
//! until all flows are there, when the VPC was never local, when it is, and when berth has prepared it.
//! `cargo bench --bench landing` prints a table.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark that can't run ends with a message, and one that can prints"
)]

#[path = "../tests/it/ovn_lab.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod ovn_lab;
#[path = "../tests/it/preparing.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod preparing;
#[path = "../tests/it/tools.rs"]
mod tools;

use std::time::{Duration, Instant};

use berth::cluster::ClusterView;
use berth::cluster::object::{Migration, Object, ObjectKey};
use berth::continuity::{Target, WarmOptions, WarmOutcome};
use berth::domain::{ChassisClaim, MigrationPhase, NodeFacts};
use ovn_lab::{Lab, Server};
use preparing::Preparing;
use serde_json::{Value, json};

/// Ports of the VPC, on two switches.
const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// Ports that are made in one transaction.
const TOGETHER: usize = 100;

/// A chassis on which a VPC is local has more flows than so many for each port of it.
const FLOWS_OF_A_PORT: usize = 5;

/// With these, and without a new one for so long, all are there.
const SETTLED: Duration = Duration::from_secs(3);

const SOURCE: &str = "source";
const COLD: &str = "cold";
const PREPARED: &str = "prepared";

fn main() {
    println!(
        "{:>6} {:>9} {:>11} {:>9} {:>13} {:>11}",
        "ports", "landing", "prepared s", "flows", "installed s", "all flows s"
    );
    for size in SIZES {
        let Some(mut lab) = Lab::start() else { return };
        for (number, node) in (1..).zip([SOURCE, COLD, PREPARED]) {
            lab.add(node, &chassis(number));
        }
        make_vpc(&lab, size);
        // The VM that the others talk to.
        land(&lab, size, SOURCE, "vm0");
        show(size, "cold", None, &land(&lab, size, COLD, "vm1"));
        show(size, "second", None, &land(&lab, size, COLD, "vm2"));
        let took = prepare(&lab);
        show(
            size,
            "prepared",
            Some(took),
            &land(&lab, size, PREPARED, "vm3"),
        );
    }
}

struct Landing {
    flows: usize,
    installed: Duration,
    complete: Duration,
}

fn show(size: usize, name: &str, prepared: Option<Duration>, landing: &Landing) {
    let prepared = prepared.map_or_else(String::new, |took| format!("{:.2}", took.as_secs_f64()));
    println!(
        "{size:>6} {name:>9} {prepared:>11} {:>9} {:>13.2} {:>11.2}",
        landing.flows,
        landing.installed.as_secs_f64(),
        landing.complete.as_secs_f64()
    );
}

/// Plugs a VM in, and waits until its chassis has no new flows any more.
fn land(lab: &Lab, size: usize, node: &'static str, port: &str) -> Landing {
    let start = Instant::now();
    lab.plug(node, port);
    let mut installed = None;
    let (mut flows, mut complete) = (lab.count_flows(node), start.elapsed());
    let is_settled = |flows: usize, complete| {
        flows > size * FLOWS_OF_A_PORT && start.elapsed().saturating_sub(complete) > SETTLED
    };
    while installed.is_none() || !is_settled(flows, complete) {
        if installed.is_none() && lab.is_installed(node, port) {
            installed = Some(start.elapsed());
        }
        let now = lab.count_flows(node);
        if now != flows {
            (flows, complete) = (now, start.elapsed());
        }
        assert!(
            start.elapsed() < Duration::from_mins(5),
            "{port} never lands"
        );
    }
    Landing {
        flows,
        installed: installed.unwrap(),
        complete,
    }
}

/// A router, and two switches with VMs; of each VM the first on the first switch, and so on.
fn make_vpc(lab: &Lab, size: usize) {
    let words = |text: &str| lab.nbctl(&text.split_ascii_whitespace().collect::<Vec<_>>());
    words("lr-add r");
    for switch in [0, 1] {
        words(&format!(
            "lrp-add r r-s{switch} 00:00:00:00:0{switch}:01 10.{switch}.0.1/16 fd00:{switch}::1/64 -- ls-add s{switch} -- lsp-add s{switch} s{switch}-r -- lsp-set-type s{switch}-r router -- lsp-set-addresses s{switch}-r router -- lsp-set-options s{switch}-r router-port=r-s{switch}"
        ));
    }
    let numbers: Vec<_> = (0..size).collect();
    for some in numbers.chunks(TOGETHER) {
        let operations: Vec<_> = some.iter().flat_map(|number| port(*number)).collect();
        lab.northbound.transact(&lab.ovn, &operations);
    }
    lab.nbctl_without_chassis(&["sync"]);
}

/// The operations that make a VM's port, dual-stack and with port security.
fn port(number: usize) -> [Value; 2] {
    let (switch, host) = (number % 2, number / 2 + 2);
    let [high, low] = [host >> 8, host & 255];
    let address = format!(
        "00:00:01:0{switch}:{high:02x}:{low:02x} 10.{switch}.{high}.{low} fd00:{switch}::{host:x}"
    );
    let name = format!("vm{number}");
    let pod = format!("default/{name}");
    let row = json!({
        "name": name,
        "addresses": address,
        "port_security": address,
        "external_ids": ["map", [["pod", pod]]],
    });
    let id = format!("p{number}");
    [
        json!({"op": "insert", "table": "Logical_Switch_Port", "uuid-name": id, "row": row}),
        json!({"op": "mutate", "table": "Logical_Switch", "where": [["name", "==", format!("s{switch}")]], "mutations": [["ports", "insert", ["named-uuid", id]]]}),
    ]
}

fn chassis(number: u32) -> String {
    format!("{number:08}-1111-4222-8333-444455556666")
}

/// Has berth prepare a chassis for a VM, and returns how long the bind would have waited.
fn prepare(lab: &Lab) -> Duration {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = Object::Node {
            name: PREPARED.into(),
            facts: NodeFacts {
                chassis: ChassisClaim::Registered(chassis(3).into()),
                ..NodeFacts::default()
            },
        };
        let migration = Object::Migration {
            key: ObjectKey::new("default", "m"),
            migration: Migration {
                uid: "m".into(),
                vmi: ObjectKey::new("default", "vm3"),
                phase: MigrationPhase::Running,
                created: None,
            },
        };
        let cluster: ClusterView = [node, migration].into_iter().collect();
        let options = WarmOptions {
            coalesce: Duration::from_millis(200),
            min_interval: Duration::from_secs(1),
            max_concurrent: 4,
            timeout: Duration::from_mins(2),
            keep: Duration::from_mins(10),
        };
        let [southbound, northbound] = [&lab.southbound, &lab.northbound].map(Server::unix);
        let berth = Preparing::start(&southbound, &northbound, cluster, options, &["vm3"]).await;
        let target = Target {
            namespace: "default".to_owned(),
            vm: "vm3".to_owned(),
            vmi_uid: String::new(),
            migration: "m".to_owned(),
            node: PREPARED.to_owned(),
        };
        let start = Instant::now();
        let (_, warm) = berth.preparer.prepare(&target).await;
        assert_eq!(warm, WarmOutcome::Warmed);
        start.elapsed()
    })
}
