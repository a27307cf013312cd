//! The nodes of a cluster by position, and which of them have which labels.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Group, Misfit};
use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::model::Node;

/// Nodes by position, in ascending order.
pub(super) type NodeSet = Arc<[usize]>;

/// The labels of which it is kept which nodes lack them. With more, all are dropped.
const MOST_LABELS: usize = 4096;

/// The nodes in the order of their names.
#[derive(Debug)]
pub(super) struct Nodes<'a> {
    pub(super) names: Arc<[&'a str]>,
    objects: Vec<&'a Node>,
    /// The nodes that lack a label, by `KEY=VALUE`. Filled on demand.
    lacking: HashMap<String, NodeSet>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(fleet: &'a Fleet) -> Self {
        Self {
            names: fleet.nodes.keys().map(String::as_str).collect(),
            objects: fleet.nodes.values().collect(),
            lacking: HashMap::new(),
        }
    }

    /// Every node with its position and name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &'a str, &'a Node)> {
        let named = self.names.iter().zip(&self.objects).enumerate();
        named.map(|(at, (name, node))| (at, *name, *node))
    }

    /// The nodes that are so.
    pub(super) fn that_are(&self, are: impl Fn(&str, &Node) -> bool) -> NodeSet {
        let nodes = self.iter().filter(|(_, name, node)| are(name, node));
        nodes.map(|(at, ..)| at).collect()
    }

    /// The nodes that lack this label.
    pub(super) fn lacking(&mut self, key: &str, value: &str) -> NodeSet {
        let label = format!("{key}={value}");
        if let Some(known) = self.lacking.get(&label) {
            return Arc::clone(known);
        }
        if self.lacking.len() >= MOST_LABELS {
            self.lacking.clear();
        }
        let lacks = |_: &str, node: &Node| node.labels.get(key).is_none_or(|own| own != value);
        let nodes = self.that_are(lacks);
        self.lacking.insert(label, Arc::clone(&nodes));
        nodes
    }
}

/// What keeps a pod from nodes, with these nodes.
#[derive(Default)]
pub(super) struct Groups(BTreeMap<(Cause, String), Vec<usize>>);

impl Groups {
    pub(super) fn add(
        &mut self,
        cause: Cause,
        detail: String,
        nodes: impl IntoIterator<Item = usize>,
    ) {
        self.0.entry((cause, detail)).or_default().extend(nodes);
    }

    pub(super) fn finish(self) -> Arc<[Group]> {
        let groups = self.0.into_iter().filter(|(_, nodes)| !nodes.is_empty());
        let groups = groups.map(|((cause, detail), mut nodes)| {
            nodes.sort_unstable();
            let detail = detail.into();
            Group {
                misfit: Misfit { cause, detail },
                nodes: nodes.into(),
            }
        });
        groups.collect()
    }
}
