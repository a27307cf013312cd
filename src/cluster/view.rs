//! The view: an immutable snapshot of everything that decisions need, looked up by the keys that
//! requests bring.

use std::collections::{HashMap, HashSet};

use crate::decide::guard::Fleet;
use crate::domain::{Agent, AgentState, Agents, DefaultBinding, NodeFacts, Vmi};

/// One thing that is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A node.
    Node {
        /// Its name.
        name: Box<str>,
        /// Its facts.
        facts: NodeFacts,
    },
    /// A pod of a Kube-OVN agent.
    AgentPod {
        /// Which agent.
        agent: Agent,
        /// The node that it runs on; `None` while it is not bound.
        node: Option<Box<str>>,
        /// How it is.
        state: AgentState,
    },
    /// A VMI.
    Vmi(Vmi),
    /// A namespace.
    Namespace {
        /// Its name.
        name: Box<str>,
        /// It opts out of injection.
        opts_out: bool,
    },
    /// The KubeVirt CR.
    KubeVirt(DefaultBinding),
}

/// The kinds of [`Object`], for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// Nodes.
    Node,
    /// Pods of Kube-OVN's agents.
    AgentPod,
    /// VMIs.
    Vmi,
    /// Namespaces.
    Namespace,
    /// The KubeVirt CR.
    KubeVirt,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Node,
        Self::AgentPod,
        Self::Vmi,
        Self::Namespace,
        Self::KubeVirt,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::AgentPod => "agent_pod",
            Self::Vmi => "vmi",
            Self::Namespace => "namespace",
            Self::KubeVirt => "kubevirt",
        }
    }
}

impl Object {
    /// What kind of object it is.
    #[must_use]
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Node { .. } => ObjectKind::Node,
            Self::AgentPod { .. } => ObjectKind::AgentPod,
            Self::Vmi(_) => ObjectKind::Vmi,
            Self::Namespace { .. } => ObjectKind::Namespace,
            Self::KubeVirt(_) => ObjectKind::KubeVirt,
        }
    }
}

/// What is known about one node name: the node, its agents, or either alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeEntry {
    /// The node's facts, once the node was seen.
    pub facts: Option<NodeFacts>,
    /// The agents on it.
    pub agents: Agents,
}

/// An immutable snapshot of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    nodes: HashMap<Box<str>, NodeEntry>,
    vmis: HashMap<Box<str>, Vmi>,
    opted_out: HashSet<Box<str>>,
    default_binding: DefaultBinding,
    fleet: Fleet,
    counts: [usize; ObjectKind::ALL.len()],
}

impl View {
    /// The namespace opts out of injection. One that is not in the view does not: the webhook
    /// configuration's own selectors hold in the API server, where every namespace is known.
    #[must_use]
    pub fn namespace_opts_out(&self, namespace: &str) -> bool {
        self.opted_out.contains(namespace)
    }

    /// The binding of the interface that KubeVirt adds by default.
    #[must_use]
    pub const fn default_binding(&self) -> DefaultBinding {
        self.default_binding
    }

    /// The VMI of this UID.
    #[must_use]
    pub fn vmi(&self, uid: &str) -> Option<&Vmi> {
        self.vmis.get(uid)
    }

    /// What is known about a node name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeEntry> {
        self.nodes.get(name)
    }

    /// All nodes that were seen, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeFacts, Agents)> {
        self.nodes.iter().filter_map(|(name, entry)| {
            let facts = entry.facts.as_ref()?;
            Some((name.as_ref(), facts, entry.agents))
        })
    }

    /// What is true of the cluster as a whole.
    #[must_use]
    pub const fn fleet(&self) -> Fleet {
        self.fleet
    }

    /// How many objects of a kind the view holds.
    #[must_use]
    pub const fn count(&self, kind: ObjectKind) -> usize {
        self.counts[kind as usize]
    }

    fn add(&mut self, object: Object) {
        self.counts[object.kind() as usize] += 1;
        match object {
            Object::Node { name, facts } => {
                self.fleet.machine_types_seen |= !facts.machine_types.is_empty();
                self.nodes.entry(name).or_default().facts = Some(facts);
            }
            Object::AgentPod { agent, node, state } => {
                self.fleet.agents_seen = true;
                if let Some(node) = node {
                    self.nodes
                        .entry(node)
                        .or_default()
                        .agents
                        .observe(agent, state);
                }
            }
            Object::Vmi(vmi) => {
                self.vmis.insert(vmi.uid.clone(), vmi);
            }
            Object::Namespace { name, opts_out } => {
                if opts_out {
                    self.opted_out.insert(name);
                }
            }
            Object::KubeVirt(binding) => self.default_binding = binding,
        }
    }
}

impl FromIterator<Object> for View {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut view = Self::default();
        for object in objects {
            view.add(object);
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentState::{NotReady, Ready};

    fn mk_agent(agent: Agent, node: Option<&str>, state: AgentState) -> Object {
        Object::AgentPod {
            agent,
            node: node.map(Into::into),
            state,
        }
    }

    fn mk_node(name: &str, machine_types: &[&str]) -> Object {
        Object::Node {
            name: name.into(),
            facts: NodeFacts {
                machine_types: machine_types.iter().copied().collect(),
                ..NodeFacts::default()
            },
        }
    }

    #[test]
    fn an_agent_may_be_seen_before_its_node() {
        let view: View = [
            mk_agent(Agent::Ovs, Some("a"), Ready),
            mk_node("a", &[]),
            mk_agent(Agent::Cni, Some("a"), Ready),
        ]
        .into_iter()
        .collect();
        let entry = view.node("a").unwrap();
        assert!(entry.facts.is_some() && entry.agents.ready());
    }

    #[test]
    fn an_agent_alone_makes_no_node() {
        let view: View = [mk_agent(Agent::Ovs, Some("a"), Ready)]
            .into_iter()
            .collect();
        assert_eq!(view.node("a").unwrap().facts, None);
        assert_eq!(view.nodes().count(), 0);
    }

    #[test]
    fn the_best_pod_of_an_agent_counts_in_any_order() {
        let old = || mk_agent(Agent::Ovs, Some("a"), NotReady);
        let new = || mk_agent(Agent::Ovs, Some("a"), Ready);
        for pods in [[old(), new()], [new(), old()]] {
            let view: View = pods.into_iter().collect();
            assert_eq!(view.node("a").unwrap().agents.ovs, Ready);
        }
    }

    #[test]
    fn the_fleet_is_labelled_when_one_node_is_and_has_agents_when_one_pod_is_seen() {
        let view: View = [mk_node("a", &[]), mk_node("b", &[])].into_iter().collect();
        assert_eq!(view.fleet(), Fleet::default());
        let view: View = [
            mk_node("a", &["q35"]),
            mk_node("b", &[]),
            mk_agent(Agent::Cni, None, NotReady),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            view.fleet(),
            Fleet {
                machine_types_seen: true,
                agents_seen: true
            }
        );
    }

    #[test]
    fn objects_are_counted_by_kind() {
        let view: View = [
            mk_node("a", &[]),
            mk_node("b", &[]),
            Object::KubeVirt(DefaultBinding::Other),
        ]
        .into_iter()
        .collect();
        let counts = ObjectKind::ALL.map(|kind| view.count(kind));
        assert_eq!(counts, [2, 0, 0, 0, 1]);
        assert_eq!(view.default_binding(), DefaultBinding::Other);
    }
}
