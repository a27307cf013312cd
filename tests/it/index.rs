//! Whatever a watch brings, and in whatever order, the index ends as a fresh list would make it.

use std::collections::BTreeMap;

use berth::cluster::object::{AgentPod, Migration, ObjectKey, TargetPod};
use berth::cluster::{ClusterView, Index, Object, ObjectKind};
use berth::decide::checks::CheckSet;
use berth::decide::evaluate::{Evaluator, SchedulingReason};
use berth::decide::policy::Policy;
use berth::domain::{
    Agent, AgentState, ChassisClaim, DefaultBinding, MachineType, MachineTypes, MigrationPhase,
    NodeFacts, Sender, Vmi,
};
use berth::snapshot::Snapshot;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a watch of one kind brings.
#[derive(Clone, Debug)]
enum Event {
    Apply(Object),
    Delete(ObjectKind, ObjectKey),
    Reset(ObjectKind, Vec<Object>),
}

fn name() -> impl Strategy<Value = &'static str> {
    select(NAMES.to_vec())
}

fn node_name() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(name().prop_map(Into::into))
}

/// The name of a VMI, and the UID of one of the two that have it, one after the other.
fn vmi_uid() -> impl Strategy<Value = (&'static str, String)> {
    (name(), 0..2).prop_map(|(name, age)| (name, format!("v{name}{age}")))
}

/// None, some, or labels that all say something else than `true`.
fn machine_types() -> impl Strategy<Value = MachineTypes> {
    let types = vec(select(vec!["pc", "q35"]), 0..3);
    option::of(types).prop_map(|types| types.map(MachineTypes::labelled).unwrap_or_default())
}

fn object(kind: ObjectKind) -> BoxedStrategy<Object> {
    match kind {
        ObjectKind::Node => (name(), machine_types(), any::<bool>())
            .prop_map(|(name, machine_types, network_unavailable)| Object::Node {
                name: name.into(),
                facts: NodeFacts {
                    machine_types,
                    chassis: ChassisClaim::Registered("1".into()),
                    network_unavailable,
                    published: None,
                },
            })
            .boxed(),
        ObjectKind::AgentPod => {
            let state = select(vec![AgentState::Ready, AgentState::NotReady]);
            (name(), select(Agent::ALL.to_vec()), node_name(), state)
                .prop_map(|(name, agent, node, state)| Object::AgentPod {
                    key: ObjectKey::new("kube-system", name),
                    pod: AgentPod { agent, node, state },
                })
                .boxed()
        }
        // A UID belongs to one object: here, to one of its name.
        ObjectKind::Vmi => (
            vmi_uid(),
            option::of(name()),
            node_name(),
            option::of(vmi_uid()),
        )
            .prop_map(|((name, uid), machine_type, node, sender)| {
                Object::Vmi(Vmi {
                    namespace: "default".into(),
                    name: name.into(),
                    uid: uid.into(),
                    machine_type: machine_type.map(MachineType::new),
                    machine_type_resolved: machine_type.is_some_and(|name| name > "a"),
                    node,
                    sender: sender.map(|(name, uid)| {
                        Box::new(Sender {
                            uid: uid.into(),
                            namespace: None,
                            name: Some(name.into()),
                            node: None,
                        })
                    }),
                    latest_migration: None,
                })
            })
            .boxed(),
        ObjectKind::Migration => (name(), 0..2, name(), any::<bool>())
            .prop_map(|(name, age, vmi, active)| Object::Migration {
                key: ObjectKey::new("default", name),
                migration: Migration {
                    uid: format!("{name}{age}").into(),
                    vmi: ObjectKey::new("default", vmi),
                    phase: if active {
                        MigrationPhase::Running
                    } else {
                        MigrationPhase::Failed
                    },
                    created: None,
                },
            })
            .boxed(),
        ObjectKind::TargetPod => (name(), name(), 0..2, vmi_uid(), node_name())
            .prop_map(
                |(name, migration, age, (vmi, vmi_uid), node)| Object::TargetPod {
                    key: ObjectKey::new("default", name),
                    pod: TargetPod {
                        migration: format!("{migration}{age}").into(),
                        vmi: ObjectKey::new("default", vmi),
                        vmi_uid: vmi_uid.into(),
                        node,
                        created: None,
                        bound: None,
                    },
                },
            )
            .boxed(),
        ObjectKind::Namespace => (name(), any::<bool>())
            .prop_map(|(name, opts_out)| Object::Namespace {
                name: name.into(),
                opts_out,
            })
            .boxed(),
        ObjectKind::KubeVirt => (name(), any::<bool>())
            .prop_map(|(name, bridge)| Object::KubeVirt {
                key: ObjectKey::new("kubevirt", name),
                default_binding: if bridge {
                    DefaultBinding::Bridge
                } else {
                    DefaultBinding::Other
                },
            })
            .boxed(),
    }
}

fn event() -> impl Strategy<Value = Event> {
    select(ObjectKind::ALL.to_vec()).prop_flat_map(|kind| {
        prop_oneof![
            6 => object(kind).prop_map(Event::Apply),
            3 => object(kind).prop_map(move |object| Event::Delete(kind, object.key())),
            1 => vec(object(kind), 0..4).prop_map(move |objects| Event::Reset(kind, objects)),
        ]
    })
}

/// What is in the cluster after these events, with none but the last word about each object.
fn cluster(events: &[Event]) -> Vec<Object> {
    let mut objects = BTreeMap::new();
    for event in events {
        match event {
            Event::Apply(object) => {
                objects.insert((object.kind(), object.key()), object.clone());
            }
            Event::Delete(kind, key) => {
                objects.remove(&(*kind, key.clone()));
            }
            Event::Reset(kind, listed) => {
                objects.retain(|(of, _), _| of != kind);
                for object in listed {
                    objects.insert((*kind, object.key()), object.clone());
                }
            }
        }
    }
    objects.into_values().collect()
}

fn index(events: &[Event]) -> Index {
    let mut index = Index::default();
    for event in events {
        match event.clone() {
            Event::Apply(object) => index.apply(object),
            Event::Delete(kind, key) => index.delete(kind, &key),
            Event::Reset(kind, objects) => index.reset(kind, objects),
        };
    }
    index
}

/// As a replica that starts now lists it.
fn listed(mut index: Index, objects: &[Object]) -> ClusterView {
    for &kind in ObjectKind::ALL {
        let of_kind = objects.iter().filter(|object| object.kind() == kind);
        index.reset(kind, of_kind.cloned().collect());
    }
    index.view()
}

fn verdicts(view: &ClusterView) -> Vec<(String, String, CheckSet)> {
    let policy = Policy::default();
    let mut verdicts = Vec::new();
    for name in NAMES {
        for uid in [0, 1].map(|age| format!("v{name}{age}")) {
            let Some(vmi) = view.vmi("default", name, &uid) else {
                continue;
            };
            let origin = view.origin(vmi);
            let mut evaluator = Evaluator::for_vm(
                &policy,
                view.capabilities(),
                SchedulingReason::MigrationTarget,
                origin,
            );
            for (candidate, _) in Snapshot::from(view).nodes() {
                let failed = evaluator.evaluate(&candidate).failed;
                verdicts.push((format!("{name} {uid}"), candidate.name.to_owned(), failed));
            }
        }
    }
    verdicts.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    verdicts
}

/// The kinds come by watches of their own, each in order, and in no order between them.
fn interleaved(events: &[Event], order: &[usize]) -> Vec<Event> {
    let kind = |event: &Event| match event {
        Event::Apply(object) => object.kind(),
        Event::Delete(kind, _) | Event::Reset(kind, _) => *kind,
    };
    let mut watches: Vec<Vec<Event>> = ObjectKind::ALL
        .iter()
        .map(|of| events.iter().filter(|e| kind(e) == *of).cloned().collect())
        .collect();
    watches.retain(|watch: &Vec<Event>| !watch.is_empty());
    let mut turns = order.iter().cycle();
    let mut mixed = Vec::new();
    while !watches.is_empty() {
        let turn = turns.next().copied().unwrap_or_default() % watches.len();
        mixed.push(watches[turn].remove(0));
        watches.retain(|watch| !watch.is_empty());
    }
    mixed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn after_any_events_the_view_is_that_of_a_fresh_list(events in vec(event(), 0..60)) {
        let objects = cluster(&events);
        let fresh = listed(Index::default(), &objects);
        // That a kind was listed is all that a fresh list adds.
        let watched = listed(index(&events), &objects);
        prop_assert_eq!(&watched, &fresh);
        let before_that: ClusterView = {
            let mut index = index(&events);
            for &kind in ObjectKind::ALL {
                let of_kind = objects.iter().filter(|object| object.kind() == kind);
                let known = index.view().is_listed(kind);
                let changed = index.reset(kind, of_kind.cloned().collect());
                prop_assert_eq!(changed, !known, "the list of {:?} brings nothing new", kind);
            }
            index.view()
        };
        prop_assert_eq!(before_that, fresh);
    }

    #[test]
    fn two_replicas_agree_however_their_watches_interleave(
        events in vec(event(), 0..60),
        order in vec(0_usize..7, 1..40),
    ) {
        let one = index(&events).view();
        let other = index(&interleaved(&events, &order)).view();
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(verdicts(&one), verdicts(&other));
    }

    #[test]
    fn an_event_that_changes_nothing_says_so(events in vec(event(), 0..60)) {
        let mut index = Index::default();
        for event in events {
            let before = index.view();
            let changed = match event {
                Event::Apply(object) => index.apply(object),
                Event::Delete(kind, key) => index.delete(kind, &key),
                Event::Reset(kind, objects) => index.reset(kind, objects),
            };
            // A target pod that is not bound, or a migration without one, is counted and no more.
            if before != index.view() {
                prop_assert!(changed);
            }
        }
    }
}
