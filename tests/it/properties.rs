//! What holds for every input, not only for the ones that somebody thought of.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use berth::cluster::ClusterView;
use berth::cluster::Object;
use berth::cluster::object::{AgentPod, ObjectKey};
use berth::decide::checks::{Check, CheckSet};
use berth::decide::evaluate::{Candidate, Evaluator, SchedulingReason};
use berth::decide::inject::Outcome;
use berth::decide::origin::Origin;
use berth::decide::policy::{ClusterCapabilities, Policy, WhenUnlabelled, WhenUnseen};
use berth::domain::{
    Agent, AgentState, Agents, ChassisClaim, ChassisIdentity, ChassisRow, MachineType,
    MachineTypes, NodeFacts, Provider, Southbound, Vmi,
};
use berth::http::{filter, mutate};
use berth::snapshot::Snapshot;
use berth::wire::admission;
use berth::wire::extender::FilterArgs;
use json_patch::Patch;
use proptest::array::uniform3;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::support::{capture, capture_json};

const KEY: &str = "kubevirt.io/allow-pod-bridge-network-live-migration";
const TYPES: [&str; 4] = ["pc", "q35", "pc-q35-rhel9.2.0", "pc-q35-rhel10.0.0"];
const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

// ---- admission ----

fn metadata() -> impl Strategy<Value = Value> {
    let text = || select(vec!["true", "false", "disabled", "", "a/b~c"]);
    let key = || select(vec![KEY, "berth.dev/inject", "a/b~c", "~1", "app"]);
    let map = move || option::of(btree_map(key(), text(), 0..4));
    (map(), map(), any::<bool>()).prop_map(|(labels, annotations, null)| {
        let mut metadata = json!({"name": "x"});
        for (field, map) in [("labels", labels), ("annotations", annotations)] {
            match map {
                Some(map) => metadata[field] = json!(map),
                None if null => metadata[field] = Value::Null,
                None => {}
            }
        }
        metadata
    })
}

fn vmi_spec() -> impl Strategy<Value = Value> {
    let names = || select(vec!["default", "other"]);
    let network = (names(), select(vec!["pod", "multus"]))
        .prop_map(|(name, kind)| json!({"name": name, kind: {}}));
    let binding = select(vec![
        "bridge",
        "masquerade",
        "sriov",
        "passtBinding",
        "binding",
    ]);
    let interface =
        (names(), binding).prop_map(|(name, binding)| json!({"name": name, binding: {}}));
    (
        option::of(vec(network, 0..3)),
        option::of(vec(interface, 0..3)),
        option::of(any::<bool>()),
    )
        .prop_map(|(networks, interfaces, autoattach)| {
            json!({
                "networks": networks,
                "domain": {"devices": {"interfaces": interfaces, "autoattachPodInterface": autoattach}},
                "unknown": {"kept": [1, 2.5, null, "ü"]},
            })
        })
}

fn template() -> impl Strategy<Value = Value> {
    (option::of(metadata()), vmi_spec()).prop_map(|(metadata, spec)| {
        let mut template = json!({"spec": spec});
        if let Some(metadata) = metadata {
            template["metadata"] = metadata;
        }
        template
    })
}

/// A review of one of the four kinds.
pub(crate) fn review() -> impl Strategy<Value = Value> {
    let kinds = vec![
        ("kubevirt.io", "VirtualMachine"),
        ("kubevirt.io", "VirtualMachineInstance"),
        ("kubevirt.io", "VirtualMachineInstanceReplicaSet"),
        ("pool.kubevirt.io", "VirtualMachinePool"),
    ];
    (
        select(kinds),
        metadata(),
        metadata(),
        template(),
        any::<bool>(),
    )
        .prop_map(|((group, kind), outer, middle, template, preference)| {
            let mut vm_spec = json!({"template": template});
            if preference {
                vm_spec["preference"] = json!({"name": "fedora"});
            }
            let object = match kind {
                "VirtualMachineInstance" => json!({"metadata": outer, "spec": template["spec"]}),
                "VirtualMachinePool" => json!({
                    "metadata": outer,
                    "spec": {"virtualMachineTemplate": {"metadata": middle, "spec": vm_spec}},
                }),
                _ => json!({"metadata": outer, "spec": vm_spec}),
            };
            json!({
                "kind": "AdmissionReview",
                "apiVersion": "admission.k8s.io/v1",
                "request": {
                    "uid": "1",
                    "kind": {"group": group, "version": "v1", "kind": kind},
                    "operation": "CREATE",
                    "namespace": "default",
                    "object": object,
                },
            })
        })
}

/// A review of an update, which changes the template or does not.
pub(crate) fn update() -> impl Strategy<Value = Value> {
    let is_vmi = |review: &Value| review["request"]["kind"]["kind"] == "VirtualMachineInstance";
    let review = review().prop_filter("of a kind with a template", move |r| !is_vmi(r));
    (review, template(), option::of(metadata()), 0..3).prop_map(
        |(mut review, other, metadata, change)| {
            let request = &mut review["request"];
            let mut old = request["object"].clone();
            let template = match request["kind"]["kind"].as_str() {
                Some("VirtualMachinePool") => {
                    &mut old["spec"]["virtualMachineTemplate"]["spec"]["template"]
                }
                _ => &mut old["spec"]["template"],
            };
            match (change, metadata) {
                (0, _) => *template = other,
                (1, Some(metadata)) => template["metadata"] = metadata,
                (1, None) => {
                    template.as_object_mut().unwrap().remove("metadata");
                }
                _ => {}
            }
            old["metadata"]["labels"] = json!({"team": "red"});
            request["operation"] = json!("UPDATE");
            request["oldObject"] = old;
            review
        },
    )
}

/// The patch of a review.
pub(crate) fn patch_of(review: &Value) -> Option<Patch> {
    let answer = mutate(&review.to_string(), &ClusterView::default()).unwrap();
    let reply: Value = serde_json::from_slice(&answer.json).unwrap();
    let patch = reply["response"].get("patch")?.as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(patch)
        .unwrap();
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// Takes the annotation out wherever it stands, and what is empty without it.
fn without_annotation(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove(KEY);
            map.values_mut().for_each(without_annotation);
            map.retain(|key, value| {
                let empty = value.is_null() || value == &json!({});
                !(empty && matches!(key.as_str(), "annotations" | "metadata"))
            });
        }
        Value::Array(items) => items.iter_mut().for_each(without_annotation),
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_patch_applied_makes_the_next_review_patchless(review in prop_oneof![review(), update()]) {
        if let Some(patch) = patch_of(&review) {
            let mut again = review.clone();
            json_patch::patch(&mut again["request"]["object"], &patch).unwrap();
            prop_assert_eq!(patch_of(&again), None);
            prop_assert_eq!(patch_of(&review), Some(patch), "the same review gives the same patch");
        }
    }

    #[test]
    fn an_update_without_a_change_of_the_template_gets_nothing(
        mut review in update(),
        other in metadata(),
    ) {
        let request = &mut review["request"];
        request["oldObject"] = request["object"].clone();
        request["oldObject"]["metadata"] = other;
        request["oldObject"]["spec"]["replicas"] = json!(7);
        let answer = mutate(&review.to_string(), &ClusterView::default()).unwrap();
        prop_assert_eq!(answer.outcome, Outcome::TemplateUnchanged);
        let reply: Value = serde_json::from_slice(&answer.json).unwrap();
        prop_assert_eq!(&reply["response"], &json!({"uid": "1", "allowed": true}));
    }

    #[test]
    fn nothing_but_the_annotation_changes(review in prop_oneof![review(), update()]) {
        if let Some(patch) = patch_of(&review) {
            prop_assert_eq!(patch.0.len(), 1);
            let mut object = review["request"]["object"].clone();
            let mut patched = object.clone();
            json_patch::patch(&mut patched, &patch).unwrap();
            prop_assert_ne!(&object, &patched);
            without_annotation(&mut object);
            without_annotation(&mut patched);
            prop_assert_eq!(object, patched);
        }
    }

    #[test]
    fn a_body_cut_or_changed_anywhere_never_panics(cut in 0_usize..2000, byte: u8) {
        for name in ["admission-create-vm-bridge", "admission-create-vmpool-bridge"] {
            let mut bytes = capture(name).into_bytes();
            let at = cut % bytes.len();
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..at]] {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    let _ = mutate(text, &ClusterView::default());
                }
            }
        }
    }
}

// ---- filter ----

fn types() -> impl Strategy<Value = Vec<&'static str>> {
    vec(select(TYPES.to_vec()), 0..3)
}

fn facts() -> impl Strategy<Value = NodeFacts> {
    let chassis = prop_oneof![
        Just(ChassisClaim::Missing),
        Just(ChassisClaim::Malformed("x".into())),
        Just(ChassisClaim::Registered(
            "00000001-1111-4222-8333-444455556666".into()
        )),
    ];
    let machine_types =
        option::of(types()).prop_map(|types| types.map(MachineTypes::labelled).unwrap_or_default());
    let facts = (machine_types, chassis, any::<bool>());
    facts.prop_map(|(machine_types, chassis, network_unavailable)| NodeFacts {
        machine_types,
        chassis,
        network_unavailable,
        published: None,
    })
}

fn state() -> impl Strategy<Value = AgentState> {
    select(vec![
        AgentState::Missing,
        AgentState::NotReady,
        AgentState::Ready,
    ])
}

fn southbound() -> impl Strategy<Value = Southbound> {
    let identity = select(vec![
        ChassisIdentity::Own,
        ChassisIdentity::Remote,
        ChassisIdentity::OtherHost,
        ChassisIdentity::Rival,
        ChassisIdentity::RemoteRival,
    ]);
    let flags = any::<(bool, bool)>();
    let row = (identity, flags, option::of(any::<Duration>())).prop_map(
        |(identity, (has_tunnel, is_held), behind)| {
            Southbound::Chassis(ChassisRow {
                identity,
                has_tunnel,
                behind,
                is_held,
                seen_for: Duration::ZERO,
            })
        },
    );
    prop_oneof![
        Just(Southbound::Unknown),
        Just(Southbound::Stale),
        Just(Southbound::NoChassis),
        row,
    ]
}

fn vmi() -> impl Strategy<Value = Vmi> {
    (
        option::of(select(TYPES.to_vec())),
        option::of(select(NODES.to_vec())),
    )
        .prop_map(|(machine_type, node)| Vmi {
            namespace: "default".into(),
            name: "web".into(),
            uid: "98ba4550-0347-40ef-a369-02349d8839a0".into(),
            machine_type: machine_type.map(MachineType::new),
            machine_type_resolved: true,
            node: node.map(Into::into),
            sender: None,
            latest_migration: None,
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        any::<[bool; Check::ALL.len()]>(),
        select(Provider::ALL.to_vec()),
        select(vec![
            WhenUnlabelled::Auto,
            WhenUnlabelled::Exclude,
            WhenUnlabelled::Allow,
        ]),
        select(vec![WhenUnseen::Auto, WhenUnseen::Exclude]),
        btree_map(
            select(TYPES.map(Box::from).to_vec()),
            vec(select(TYPES.map(Box::from).to_vec()), 1..3),
            0..2,
        ),
        any::<bool>(),
    )
        .prop_map(
            |(checks, provider, when_unlabelled, when_unseen, equivalents, launches)| Policy {
                provider,
                launches,
                checks: Check::ALL
                    .into_iter()
                    .zip(checks)
                    .fold(CheckSet::default(), |set, (check, on)| set.with(check, on)),
                when_unlabelled,
                equivalents,
                when_unseen,
                ..Policy::default()
            },
        )
}

type Cluster = (
    BTreeMap<&'static str, (NodeFacts, [AgentState; Agent::ALL.len()])>,
    Vmi,
);

fn cluster() -> impl Strategy<Value = Cluster> {
    let node = (facts(), uniform3(state()));
    (
        btree_map(select(NODES.to_vec()), node, 0..NODES.len()),
        vmi(),
    )
}

fn objects((nodes, vmi): &Cluster) -> Vec<Object> {
    let mut objects = vec![Object::Vmi(vmi.clone())];
    for (name, (facts, states)) in nodes {
        objects.push(Object::Node {
            name: (*name).into(),
            facts: facts.clone(),
        });
        for (&agent, state) in Agent::ALL.iter().zip(states) {
            if *state != AgentState::Missing {
                objects.push(Object::AgentPod {
                    key: ObjectKey::new("kube-system", &format!("{}-{name}", agent.name())),
                    pod: AgentPod {
                        agent,
                        node: Some((*name).into()),
                        state: *state,
                    },
                });
            }
        }
    }
    objects
}

/// A node as the API server has it.
fn node_json(provider: Provider, name: &str, facts: &NodeFacts) -> Value {
    let label = |machine_type| format!("machine-type.node.kubevirt.io/{machine_type}");
    let supported = facts.machine_types.iter().map(|name| (label(name), "true"));
    let mut labels: BTreeMap<String, &str> = supported.collect();
    if facts.machine_types.is_labelled() {
        labels.insert(label("isapc"), "false");
    }
    let mut annotations = json!({});
    if let ChassisClaim::Registered(chassis) | ChassisClaim::Malformed(chassis) = &facts.chassis {
        let key = match provider {
            Provider::KubeOvn => "ovn.kubernetes.io/chassis",
            Provider::OvnKubernetes => "k8s.ovn.org/node-chassis-id",
        };
        annotations[key] = json!(chassis);
    }
    let status = if facts.network_unavailable {
        "True"
    } else {
        "False"
    };
    json!({
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "status": {"conditions": [{"type": "NetworkUnavailable", "status": status}]},
    })
}

/// An object of these fields, with odd white space, and with one byte changed or its end cut off.
fn odd_object(
    fields: impl Strategy<Value = Vec<(&'static str, &'static str)>>,
) -> impl Strategy<Value = String> {
    let space = select(vec!["", " ", "\n\t\r "]);
    let at = any::<prop::sample::Index>();
    let byte = select(b"\0\x1f\x7f \",:{}[]\\0atn".to_vec());
    (fields, [(); 6].map(|()| space.clone()), at, byte, 0..3).prop_map(
        |(fields, [a, b, c, d, before, after], at, byte, change)| {
            let fields = fields.into_iter();
            let fields = fields.map(|(key, value)| format!("{a}\"{key}\"{b}:{c}{value}{d}"));
            let fields = fields.collect::<Vec<_>>().join(",");
            let mut bytes = format!("{before}{{{fields}}}{after}").into_bytes();
            let at = at.index(bytes.len());
            match change {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => {}
            }
            String::from_utf8(bytes).unwrap()
        },
    )
}

/// A call whose keys and values are as odd as they come.
fn odd_call() -> impl Strategy<Value = String> {
    let value = select(vec![
        "null",
        "7",
        "-1.5e3",
        "true",
        "[]",
        "{}",
        r#""a""#,
        r#"["a","\u0062",  "\"c\\"]"#,
        r#"["a",null]"#,
        r#"{"metadata":{"name":"p","labels":{}}}"#,
        r#"[{"name":"p"}]"#,
        r#"{"items":[{"metadata":{"name":"a"},"spec":{"x":[1,{"y":null}]}} , {"metadata":{"name":"\u0062"}}],"kind":"NodeList"}"#,
        r#"{"items":[{"metadata":{"name":"a","name":"b"}}]}"#,
        r#"{"items":[[{"name":"a"}]]}"#,
        r#"{"metadata":{},"items":null,"items":null}"#,
        r#"{"apiVersion":null,"metadata":[ ],"more":"]}","items":[]}"#,
    ]);
    let key = select(vec![
        "Pod",
        "NodeNames",
        "Nodes",
        "nodes",
        "more",
        "\\u0050od",
    ]);
    odd_object(vec((key, value), 0..4))
}

/// A review some of whose fields are odd, come twice or not at all.
fn odd_review() -> impl Strategy<Value = String> {
    let kind = select(vec![
        ("kind", r#""AdmissionReview""#),
        ("k\\u0069nd", r#""Admission\u0052eview""#),
        ("kind", r#""Pod""#),
        ("kind", "null"),
    ]);
    let version = select(vec![
        ("apiVersion", r#""admission.k8s.io/v1""#),
        ("apiVersion", r#""admission.k8s.io\/v1""#),
        ("apiVersion", "1"),
    ]);
    let request = select(vec![
        r#"{"uid":"1","kind":{"kind":"Pod"},"operation":"CREATE"}"#,
        r#"{"operation":"UPDATE","object":{"a":[1]},"uid":"\u0031","oldObject":null,"kind":{"group":"","kind":"Pod"}}"#,
        r#"{"uid":"1","uid":"1","kind":{"kind":"Pod"},"operation":"CREATE"}"#,
        r#"{"uid":"","kind":{"kind":"Pod"},"operation":"CREATE"}"#,
        r#"{"uid":"1"}"#,
        r#"["1",{"kind":"Pod"},null,null,null,"CREATE",null,null]"#,
        "null",
        "7",
    ]);
    let request = request.prop_map(|request| ("request", request));
    let more = select(vec![("more", "[{}]"), ("kind", r#""AdmissionReview""#)]);
    let fields = (kind, version, request, more);
    let fields =
        fields.prop_map(|(kind, version, request, more)| vec![kind, version, request, more]);
    let some = (fields.prop_shuffle(), select(vec![3, 4, 4]));
    odd_object(some.prop_map(|(mut fields, count)| {
        fields.truncate(count);
        fields
    }))
}

/// The names of the nodes of a call, as `serde_json` reads it.
fn names_in(call: &Value) -> Vec<&Value> {
    match (&call["NodeNames"], &call["Nodes"]["items"]) {
        (Value::Array(names), _) => names.iter().collect(),
        (_, Value::Array(nodes)) => nodes.iter().map(|node| &node["metadata"]["name"]).collect(),
        _ => Vec::new(),
    }
}

/// The verdict on each node asked about: nothing for a pass.
fn verdicts(view: &ClusterView, policy: &Policy, args: &Value) -> BTreeMap<String, Option<String>> {
    let call = args.to_string();
    let answer = filter(&call, &Snapshot::from(view), policy, None).unwrap();
    let reply: Value = serde_json::from_slice(&answer.reply.to_vec()).unwrap();
    assert_eq!(reply["Error"], "");
    let mut verdicts = BTreeMap::new();
    for field in ["FailedNodes", "FailedAndUnresolvableNodes"] {
        for (node, text) in reply[field].as_object().unwrap() {
            verdicts.insert(node.clone(), Some(text.as_str().unwrap().to_owned()));
        }
    }
    let names = reply["NodeNames"].as_array().cloned().unwrap_or_default();
    let items = reply["Nodes"]["items"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let named = items
        .into_iter()
        .map(|node| node["metadata"]["name"].clone());
    for name in names.into_iter().chain(named) {
        let before = verdicts.insert(name.as_str().unwrap().to_owned(), None);
        assert_eq!(before, None, "{name} passed and failed");
    }
    verdicts
}

fn args(names: &[&str]) -> Value {
    let mut args = capture_json("filter-names-migration");
    args["NodeNames"] = json!(names);
    args
}

proptest! {
    #[test]
    fn a_call_that_can_be_read_has_the_nodes_that_are_in_it(call in odd_call()) {
        if let Ok(args) = FilterArgs::read(&call) && let Ok(nodes) = args.nodes.read() {
            let value: Value = serde_json::from_str(&call).unwrap();
            let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            prop_assert_eq!(names, names_in(&value), "{}", call);
        }
    }

    #[test]
    fn a_review_that_can_be_read_has_the_request_that_is_in_it(review in odd_review()) {
        if let Ok(request) = admission::read(&review) {
            let value: Value = serde_json::from_str(&review).unwrap();
            let (uid, kind) = (request.uid.as_str(), request.kind.kind.as_str());
            prop_assert_eq!(uid, &value["request"]["uid"], "{}", review);
            prop_assert_eq!(kind, &value["request"]["kind"]["kind"], "{}", review);
        }
    }
}

proptest! {
    #[test]
    fn verdicts_do_not_depend_on_the_order_of_nodes_or_of_objects(
        cluster in cluster(),
        policy in policy(),
        order in Just(NODES.to_vec()).prop_shuffle(),
        seed: u64,
    ) {
        let in_order: ClusterView = objects(&cluster).into_iter().collect();
        let mut shuffled = objects(&cluster);
        let length = shuffled.len();
        shuffled.rotate_left(usize::try_from(seed % 97).unwrap() % length);
        shuffled.reverse();
        let shuffled: ClusterView = shuffled.into_iter().collect();
        prop_assert_eq!(&in_order, &shuffled);

        let expect = verdicts(&in_order, &policy, &args(&NODES));
        prop_assert_eq!(expect.len(), NODES.len(), "every node gets a verdict");
        prop_assert_eq!(verdicts(&shuffled, &policy, &args(&order)), expect);
    }

    #[test]
    fn names_and_whole_nodes_get_the_same_verdicts(cluster in cluster(), policy in policy()) {
        let view: ClusterView = objects(&cluster).into_iter().collect();
        let names: Vec<&str> = cluster.0.keys().copied().collect();
        let by_name = args(&names);
        let mut whole = by_name.clone();
        whole["NodeNames"] = Value::Null;
        let items: Vec<Value> = cluster.0.iter().map(|(name, node)| node_json(policy.provider, name, &node.0)).collect();
        whole["Nodes"] = json!({"items": items});
        let expect = verdicts(&view, &policy, &by_name);
        prop_assert_eq!(&verdicts(&view, &policy, &whole), &expect);

        // The same facts, brought by the request instead of the view.
        let without_nodes: ClusterView = objects(&cluster)
            .into_iter()
            .filter(|object| !matches!(object, Object::Node { .. }))
            .collect();
        prop_assert_eq!(&verdicts(&without_nodes, &policy, &whole), &expect);
    }

    #[test]
    fn the_core_gives_a_verdict_on_anything(
        facts in facts(),
        policy in policy(),
        vmi in vmi(),
        (ovs, cni, ovnkube_node) in (state(), state(), state()),
        southbound in southbound(),
        (machine_types_seen, southbound_configured, southbound_counts, lag_reported, launch) in any::<(bool, bool, bool, bool, bool)>(),
        agents_seen in subsequence(Agent::ALL.to_vec(), 0..=Agent::ALL.len()),
        name in ".*",
    ) {
        let agents_seen = agents_seen.into_iter().collect();
        let cluster = ClusterCapabilities { machine_types_seen, agents_seen, southbound_configured, southbound_counts, lag_reported };
        let reason = if launch { SchedulingReason::Launch } else { SchedulingReason::MigrationTarget };
        let mut evaluator = Evaluator::for_vm(&policy, cluster, reason, Origin::of(&vmi, None));
        let candidate = Candidate { name: &name, facts: &facts, agents: Agents { ovs, cni, ovnkube_node }, southbound };
        for check in evaluator.evaluate(&candidate).failed.iter() {
            prop_assert!(policy.checks.contains(check), "a check that is off failed: {:?}", check);
        }
    }

    #[test]
    fn a_call_cut_or_changed_anywhere_never_panics(cut in 0_usize..130_000, byte: u8) {
        for name in ["filter-names-migration", "filter-nodes-migration-no-selector"] {
            let mut bytes = capture(name).into_bytes();
            let at = cut % bytes.len();
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..at]] {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    let _ = filter(text, &Snapshot::from(&ClusterView::default()), &Policy::default(), None);
                }
            }
        }
    }
}
