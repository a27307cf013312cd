//! How long an answer takes once its body is there: no network, no TLS. `cargo bench`, or with a
//! name, `cargo bench -- names/5000`.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that can't run ends with a message"
)]

use std::hint::black_box;

use berth::cluster::View;
use berth::cluster::object::{AgentPod, Object, Place};
use berth::decide::guard::Policy;
use berth::domain::{AgentState, ChassisClaim, Network, NodeFacts, Provider};
use berth::facts::Facts;
use berth::http::{filter, mutate};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};

const CALL: &str = include_str!("../tests/data/captures/filter-names-migration.json");
const CLUSTER: &str = include_str!("../tests/data/captures/cluster.json");
const REVIEW: &str = include_str!("../tests/data/captures/admission-create-vm-bridge.json");
const SIZES: [usize; 3] = [50, 500, 5000];

/// A cluster of so many nodes like the captured el9-1, a tenth of them without a chassis, and the
/// captured VMI.
fn cluster(nodes: usize) -> View {
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
            like.chassis.clone()
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
                place: Place::new("kube-system", &format!("{}-{i}", agent.name())),
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
    for (form, call) in [
        ("names", names_call as fn(usize) -> String),
        ("nodes", nodes_call),
    ] {
        let mut group = c.benchmark_group(form);
        for size in SIZES {
            let view = cluster(size);
            let body = call(size);
            group.throughput(Throughput::Elements(size as u64));
            group.bench_with_input(BenchmarkId::from_parameter(size), &body, |b, body| {
                b.iter(|| {
                    filter(black_box(body), &Facts::of(&view), &policy, None).expect("an answer")
                });
            });
        }
        group.finish();
    }
    let view = View::default();
    c.bench_function("mutate", |b| {
        b.iter(|| mutate(black_box(REVIEW), &view).expect("an answer"));
    });
}

criterion_group!(benches, answers);
criterion_main!(benches);
