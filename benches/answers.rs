//! How long an answer takes once its body is there: no network, no TLS. `cargo bench`, or with a
//! name, `cargo bench -- names/5000`.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that can't run ends with a message"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use berth::cluster::ClusterView;
use berth::cluster::object::{AgentPod, Object, ObjectKey};
use berth::decide::policy::{ALLOWED_LAG, Policy};
use berth::domain::{AgentState, ChassisClaim, Network, NodeFacts, Provider};
use berth::http::{filter, mutate};
use berth::ovn::chassis::WANTED;
use berth::ovn::{ChassisIndex, ChassisView};
use berth::snapshot::{Snapshot, SouthboundState};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ovsdb::{MonitorPlan, Schema, TableCache, UpdateFormat};
use serde_json::{Value, json};

const CALL: &str = include_str!("../tests/data/captures/filter-names-migration.json");
const CLUSTER: &str = include_str!("../tests/data/captures/cluster.json");
const REVIEW: &str = include_str!("../tests/data/captures/admission-create-vm-bridge.json");
const SIZES: [usize; 3] = [50, 500, 5000];

/// A cluster of so many nodes like the captured el9-1, a tenth of them without a chassis, and the
/// captured VMI.
fn cluster(nodes: usize) -> ClusterView {
    let captured =
        berth::cluster::file::parse(CLUSTER, &Network::default()).expect("a good capture");
    let vmi = captured
        .vmi("default", "web", "98ba4550-0347-40ef-a369-02349d8839a0")
        .expect("VMI web");
    let like = captured
        .node("el9-1")
        .and_then(|node| node.facts().cloned());
    let like = like.expect("node el9-1");
    let mut objects = vec![Object::Vmi(vmi.clone())];
    for i in 0..nodes {
        let name: Box<str> = node_name(i).into();
        let chassis = if i % 10 == 0 {
            ChassisClaim::Missing
        } else {
            ChassisClaim::Registered(chassis_name(i).into())
        };
        objects.push(Object::Node {
            name: name.clone(),
            facts: NodeFacts {
                chassis,
                ..like.clone()
            },
        });
        for agent in Provider::default().agents().iter().copied() {
            objects.push(Object::AgentPod {
                key: ObjectKey::new("kube-system", &format!("{}-{i}", agent.name())),
                pod: AgentPod {
                    agent,
                    node: Some(name.clone()),
                    state: AgentState::Ready,
                },
            });
        }
    }
    objects.into_iter().collect()
}

/// The chassis of so many nodes, of which all but those without one are as they should be.
fn chassis(nodes: usize) -> ChassisView {
    let schema = json!({"tables": {
        "SB_Global": {"columns": {"nb_cfg": {"type": "integer"}}},
        "Chassis": {"columns": {
            "name": {"type": "string"}, "hostname": {"type": "string"},
            "encaps": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "other_config":
                {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}},
        "Chassis_Private": {"columns": {"name": {"type": "string"}, "nb_cfg": {"type": "integer"}}},
        "Encap": {"columns": {"ip": {"type": "string"}}},
    }});
    let schema = Schema::parse(&schema.to_string()).expect("a good schema");
    let mut replica = TableCache::default();
    replica.plan(MonitorPlan::new(&WANTED, &schema));
    let rows = |table, row: &dyn Fn(usize) -> Value| -> Value {
        let rows = (0..nodes).map(|i| (uuid(table, i), json!({"initial": row(i)})));
        Value::Object(rows.collect())
    };
    let tables = json!({
        "SB_Global": {uuid(0, 0): {"initial": {"nb_cfg": 7}}},
        "Chassis": rows(1, &|i| json!({
            "name": chassis_name(i), "hostname": node_name(i), "encaps": ["uuid", uuid(3, i)],
        })),
        "Chassis_Private": rows(2, &|i| json!({"name": chassis_name(i), "nb_cfg": 7})),
        "Encap": rows(3, &|i| json!({"ip": format!("10.0.{}.{}", i / 256, i % 256)})),
    });
    let changes = replica
        .replace(UpdateFormat::V2, &tables.to_string())
        .expect("good rows");
    let mut index = ChassisIndex::new(ALLOWED_LAG);
    index.synced(&changes, &[], Instant::now());
    index.view()
}

fn uuid(table: usize, i: usize) -> String {
    format!("00000000-0000-4000-8000-{table:02}{i:010}")
}

fn chassis_name(i: usize) -> String {
    format!("00000000-1111-4222-8333-{i:012}")
}

fn node_name(i: usize) -> String {
    format!("worker-{i:05}.example.com")
}

fn names_call(nodes: usize) -> String {
    let mut call: Value = serde_json::from_str(CALL).expect("a good capture");
    call["NodeNames"] = (0..nodes).map(node_name).collect();
    call.to_string()
}

/// The call with whole nodes, each as large as the captured one.
fn nodes_call(nodes: usize) -> String {
    let mut call: Value = serde_json::from_str(CALL).expect("a good capture");
    let cluster: Value = serde_json::from_str(CLUSTER).expect("a good capture");
    let items = cluster["items"].as_array().expect("a list");
    let node = items
        .iter()
        .find(|item| item["metadata"]["name"] == "el9-1");
    let node = node.expect("node el9-1");
    let nodes = (0..nodes).map(|i| {
        let mut node = node.clone();
        node["metadata"]["name"] = node_name(i).into();
        node
    });
    call["NodeNames"] = Value::Null;
    call["Nodes"] = json!({"metadata": {}, "items": nodes.collect::<Vec<_>>()});
    call.to_string()
}

fn answers(c: &mut Criterion) {
    let policy = Policy::default();
    for (form, call, has_southbound) in [
        ("names", names_call as fn(usize) -> String, false),
        ("names beside southbound", names_call, true),
        ("nodes", nodes_call, false),
    ] {
        let mut group = c.benchmark_group(form);
        for size in SIZES {
            let snapshot = Snapshot {
                cluster: Arc::new(cluster(size)),
                southbound: if has_southbound {
                    SouthboundState::Fresh(Arc::new(chassis(size)), Instant::now())
                } else {
                    SouthboundState::NotRead
                },
            };
            let body = call(size);
            group.throughput(Throughput::Elements(size as u64));
            group.bench_with_input(BenchmarkId::from_parameter(size), &body, |b, body| {
                b.iter(|| filter(black_box(body), &snapshot, &policy, None).expect("an answer"));
            });
        }
        group.finish();
    }
    let view = ClusterView::default();
    c.bench_function("mutate", |b| {
        b.iter(|| mutate(black_box(REVIEW), &view).expect("an answer"));
    });
}

criterion_group!(benches, answers);
criterion_main!(benches);
