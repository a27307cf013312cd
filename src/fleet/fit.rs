//! Which nodes can take a pod, and what keeps it from the others, as kube-scheduler's plugins judge it.
//!
//! The nodes are judged once for each *shape*, not for each VM: once for equal [`NodeRules`], once for
//! equal requests, and once for volumes of equal reach. A [`Placement`] keeps these results for the VMs
//! that follow, up to a number of shapes. Rules about other pods are judged for each VM; which pods a rule
//! selects is looked up once for equal rules.

pub mod affinity;
mod cpu;
mod nodes;
pub mod pods;
mod resources;
mod taints;
mod volumes;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;

use super::Fleet;
use super::model::{Node, Resources};
use super::target::{NodeRules, TargetPod, labels};

use nodes::{Groups, NodeSet, Nodes};
use pods::{PodRules, Pods};
use resources::Free;
use volumes::Reach;

pub(in crate::fleet) use resources::Lack;
pub use resources::{amount, free};

/// A cause that keeps a pod from a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misfit {
    /// The cause.
    pub cause: Cause,
    /// The label, taint, resource or volume, in a few words; empty where the cause says all.
    pub detail: Arc<str>,
}

impl Misfit {
    /// Whether the node lacks the label of the VM's machine type, which berth's own check may have said.
    pub(in crate::fleet) fn is_of_machine_type(&self) -> bool {
        self.cause == Cause::NodeSelector && self.detail.starts_with(labels::MACHINE_TYPE)
    }
}

/// A misfit and the nodes that have it.
#[derive(Debug)]
struct Group {
    misfit: Misfit,
    nodes: NodeSet,
}

/// The shapes of each sort of which results are kept. With more, those of the sort are dropped: they
/// cost memory in a cluster in which every node is full and every VM has another size.
const MOST_SHAPES: usize = 512;

/// Places pods on the nodes of a cluster.
#[derive(Debug)]
pub struct Placement<'a> {
    fleet: &'a Fleet,
    nodes: Nodes<'a>,
    free: Free,
    pods: Pods<'a>,
    by_rules: HashMap<NodeRules, Arc<[Group]>>,
    by_requests: HashMap<Resources, Arc<[Group]>>,
    by_reach: HashMap<Reach, NodeSet>,
    by_passthrough: HashMap<String, Arc<[Group]>>,
    by_hostname: HashMap<String, Arc<[Group]>>,
}

impl<'a> Placement<'a> {
    /// The placement of pods in this cluster, with the pods that are there.
    #[must_use]
    pub fn new(fleet: &'a Fleet) -> Self {
        Self {
            fleet,
            nodes: Nodes::new(fleet),
            free: Free::new(fleet),
            pods: Pods::new(fleet),
            by_rules: HashMap::new(),
            by_requests: HashMap::new(),
            by_reach: HashMap::new(),
            by_passthrough: HashMap::new(),
            by_hostname: HashMap::new(),
        }
    }

    /// Which nodes can take the pod, and why the others cannot. `volumes` are the names of the volumes
    /// to which its claims are bound; one that does not exist is passed over.
    ///
    /// The node on which the VM runs is judged like the others: the check
    /// [`MigrationSource`](crate::decide::checks::Check::MigrationSource) rules it out.
    #[must_use]
    pub fn misfits(&mut self, pod: &TargetPod, volumes: &[&str]) -> NodeMisfits<'a> {
        let nodes = &mut self.nodes;
        let source = pod.source.as_deref();
        let fleet = self.fleet;
        let hostname = source.map(|source| {
            kept(&mut self.by_hostname, source, |source| {
                by_hostname(source, fleet, nodes)
            })
        });
        let rules = kept(&mut self.by_rules, &pod.rules, |rules| {
            by_rules(rules, nodes)
        });
        let free = &self.free;
        let requests = kept(&mut self.by_requests, &pod.requests, |requests| {
            by_requests(requests, free)
        });
        let volumes = self.by_volumes(volumes);
        let pods = self.pods.misfits(&pod.pods, &self.nodes).finish();
        NodeMisfits {
            names: Arc::clone(&self.nodes.names),
            parts: [Some(rules), hostname, volumes, Some(requests), Some(pods)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// The nodes with another CPU than this one: another model, or without one of its features
    /// ([`Cause::PassthroughCpuDiffers`]). For a guest with the CPU of its node as it is.
    #[must_use]
    pub fn passthrough(&mut self, source: &str) -> NodeMisfits<'a> {
        let (fleet, nodes) = (self.fleet, &mut self.nodes);
        let groups = kept(&mut self.by_passthrough, source, |source| {
            let mut groups = Groups::default();
            let own = fleet.source_node(source).into_iter();
            let own = own.flat_map(|node| &node.labels);
            let own = own.filter(|(label, _)| {
                label.starts_with(labels::HOST_CPU_MODEL) || label.starts_with(labels::CPU_FEATURE)
            });
            add_cpu(&mut groups, Cause::PassthroughCpuDiffers, own, nodes);
            groups.finish()
        });
        NodeMisfits {
            names: Arc::clone(&self.nodes.names),
            parts: vec![groups],
        }
    }

    /// Whether this pod's place depends on where other pods are.
    #[must_use]
    pub fn depends_on_pods(&self, pod: &TargetPod) -> bool {
        self.pods.concern(&pod.pods)
    }

    /// Counts the target pod of a VM, which arrives on a node, for the pods that are placed after it.
    pub fn arrive(&mut self, vm: &'a ObjectKey, pod: &PodRules, node: &str) {
        self.pods.arrive(vm, pod, node);
    }

    /// Counts no longer a pod of the cluster.
    pub fn leave(&mut self, pod: &'a ObjectKey) {
        self.pods.leave(pod);
    }

    fn by_volumes(&mut self, names: &[&str]) -> Option<Arc<[Group]>> {
        let mut groups = Vec::new();
        for name in names {
            let Some(reach) = self.fleet.volumes.get(*name).and_then(Reach::of) else {
                continue;
            };
            let all = &self.nodes;
            let nodes = kept(&mut self.by_reach, &reach, |reach| {
                all.that_are(|_, node: &Node| !reach.contains(&node.labels))
            });
            if !nodes.is_empty() {
                let misfit = Misfit {
                    cause: Cause::VolumeNodeAffinity,
                    detail: format!("volume {name}: {}", reach.text()).into(),
                };
                groups.push(Group { misfit, nodes });
            }
        }
        (!groups.is_empty()).then(|| groups.into())
    }
}

/// The result for a shape, from the cache or made and kept there.
fn kept<K, Q, V>(cache: &mut HashMap<K, V>, shape: &Q, judge: impl FnOnce(&Q) -> V) -> V
where
    K: std::borrow::Borrow<Q> + Eq + Hash,
    Q: ToOwned<Owned = K> + Eq + Hash + ?Sized,
    V: Clone,
{
    if let Some(known) = cache.get(shape) {
        return known.clone();
    }
    if cache.len() >= MOST_SHAPES {
        cache.clear();
    }
    let result = judge(shape);
    cache.insert(shape.to_owned(), result.clone());
    result
}

fn by_rules(rules: &NodeRules, nodes: &mut Nodes<'_>) -> Arc<[Group]> {
    let mut groups = Groups::default();
    for (at, _, node) in nodes.iter() {
        for (cause, detail) in taints::misfits(&rules.tolerations, node) {
            groups.add(cause, detail, [at]);
        }
    }
    let (about_cpu, others): (Vec<_>, Vec<_>) = rules
        .selector
        .iter()
        .partition(|(key, _)| cpu::is_about(key));
    add_cpu(&mut groups, Cause::CpuNotSupported, about_cpu, nodes);
    for (key, value) in others {
        let lacking = nodes.lacking(key, value);
        let cause = match key.as_str() {
            labels::SCHEDULABLE => Cause::NotSchedulable,
            _ => Cause::NodeSelector,
        };
        groups.add(cause, format!("{key}={value}"), lacking.iter().copied());
    }
    for label in &rules.forbidden {
        let having = nodes.that_are(|_, node| node.labels.contains_key(label));
        groups.add(
            Cause::CpuNotSupported,
            cpu::forbidden(label),
            having.iter().copied(),
        );
    }
    if let Some(affinity) = &rules.affinity {
        let others = nodes.that_are(|name, node| !affinity.matches(&node.labels, Some(name)));
        groups.add(
            Cause::NodeAffinity,
            affinity.to_string(),
            others.iter().copied(),
        );
    }
    groups.finish()
}

/// Adds what the nodes lack of these labels about CPUs: one misfit for all labels that the same nodes
/// lack.
fn add_cpu<'l>(
    groups: &mut Groups,
    cause: Cause,
    labels: impl IntoIterator<Item = (&'l String, &'l String)>,
    nodes: &mut Nodes<'_>,
) {
    let mut by_nodes: BTreeMap<NodeSet, Vec<&str>> = BTreeMap::new();
    for (key, value) in labels {
        by_nodes
            .entry(nodes.lacking(key, value))
            .or_default()
            .push(key);
    }
    for (nodes, labels) in by_nodes {
        groups.add(cause, cpu::lack(&labels), nodes.iter().copied());
    }
}

/// KubeVirt keeps the target from the hostname of the source, not from its node.
fn by_hostname(source: &str, fleet: &Fleet, nodes: &Nodes<'_>) -> Arc<[Group]> {
    let mut groups = Groups::default();
    let node = fleet.nodes.get(source);
    let hostname = node.and_then(|node| node.labels.get(labels::HOSTNAME));
    if let Some(hostname) = hostname {
        let same = nodes.that_are(|name, node| {
            name != source && node.labels.get(labels::HOSTNAME) == Some(hostname)
        });
        groups.add(Cause::SameHostname, hostname.clone(), same.iter().copied());
    }
    groups.finish()
}

fn by_requests(requests: &Resources, free: &Free) -> Arc<[Group]> {
    let mut by_lack: BTreeMap<Lack<'_>, Vec<usize>> = BTreeMap::new();
    for (at, lack) in free.lacking(requests) {
        by_lack.entry(lack).or_default().push(at);
    }
    let mut groups = Groups::default();
    for (lack, nodes) in by_lack {
        groups.add(Cause::InsufficientResources, lack.text(), nodes);
    }
    groups.finish()
}

/// More names than these are counted only.
const SHOWN: usize = 8;

/// Names separated by commas: at most [`SHOWN`] of them.
fn list<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What keeps a pod from the nodes. Cheap to make and to clone: it shares the misfits with others.
#[derive(Clone, Debug)]
pub struct NodeMisfits<'a> {
    names: Arc<[&'a str]>,
    parts: Vec<Arc<[Group]>>,
}

impl<'a> NodeMisfits<'a> {
    /// Every misfit with the names of the nodes that have it, in the order of the causes. No misfit is
    /// without nodes.
    pub fn by_misfit(&self) -> impl Iterator<Item = (&Misfit, impl Iterator<Item = &'a str>)> {
        self.groups().map(|group| {
            let nodes = group.nodes.iter().filter_map(|at| self.names.get(*at));
            (&group.misfit, nodes.copied())
        })
    }

    /// The nodes that have no misfit, by name.
    #[must_use]
    pub fn targets(&self) -> Vec<&'a str> {
        let mut fits = vec![true; self.names.len()];
        for at in self.groups().flat_map(|group| group.nodes.iter()) {
            if let Some(fits) = fits.get_mut(*at) {
                *fits = false;
            }
        }
        let named = self.names.iter().zip(fits);
        named
            .filter_map(|(name, fits)| fits.then_some(*name))
            .collect()
    }

    /// Every node by name, with all its misfits in the order of the causes.
    #[must_use]
    pub fn by_node(&self) -> Vec<(&'a str, Vec<&Misfit>)> {
        let mut nodes: Vec<_> = self.names.iter().map(|name| (*name, Vec::new())).collect();
        for group in self.groups() {
            for at in group.nodes.iter() {
                if let Some((_, misfits)) = nodes.get_mut(*at) {
                    misfits.push(&group.misfit);
                }
            }
        }
        nodes
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

#[cfg(test)]
mod tests;
