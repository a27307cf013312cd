//! Required affinity and anti-affinity to pods, as kube-scheduler's plugin `InterPodAffinity` judges it
//! (`pkg/scheduler/framework/plugins/interpodaffinity/filtering.go`, Kubernetes 1.36). Pods count where they
//! are now, until some arrive or leave.

mod term;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::slice;

use k8s_openapi::api::core::v1::{Affinity, PodAffinityTerm};

use super::MOST_SHAPES;
use super::nodes::{Groups, Nodes};
use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::model::{Labels, Node};
use term::Term;

/// Before the name of a pod that is one of several.
pub(in crate::fleet) const SUCH_AS: &str = " (such as ";

/// Before the name of a VM, for the target pod that a plan gives it.
pub(in crate::fleet) const TARGET_OF: &str = "the target pod of ";

/// What a pod is to other pods, and which pods it requires near and far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodRules {
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: Labels,
    /// Each has a pod in the pod's topology domain, such as its zone.
    pub near: Vec<PodAffinityTerm>,
    /// None has a pod in the pod's topology domain.
    pub far: Vec<PodAffinityTerm>,
}

impl PodRules {
    /// The rules of a pod with this affinity. Preferred terms reject no node, and are left out.
    #[must_use]
    pub fn new(namespace: &str, labels: Labels, affinity: Option<&Affinity>) -> Self {
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let near = near.and_then(|near| {
            near.required_during_scheduling_ignored_during_execution
                .clone()
        });
        Self {
            namespace: namespace.to_owned(),
            labels,
            near: near.unwrap_or_default(),
            far: anti_affinity(affinity).to_vec(),
        }
    }

    /// Whether they require anything of where other pods are.
    fn has_terms(&self) -> bool {
        !self.near.is_empty() || !self.far.is_empty()
    }
}

/// The pods that a pod with this affinity keeps away.
pub(in crate::fleet) fn anti_affinity(affinity: Option<&Affinity>) -> &[PodAffinityTerm] {
    let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let far = far.and_then(|far| {
        far.required_during_scheduling_ignored_during_execution
            .as_deref()
    });
    far.unwrap_or_default()
}

/// A pod that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name<'a> {
    /// One that was there.
    Pod(&'a ObjectKey),
    /// One that arrived: the target pod of this VM.
    TargetOf(&'a ObjectKey),
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(pod) => write!(f, "{pod}"),
            Self::TargetOf(vm) => write!(f, "{TARGET_OF}{vm}"),
        }
    }
}

/// The pod that stands for all of these: one that arrived, which comes last, or else the first.
fn example<'s, 'a>(pods: &'s BTreeSet<Name<'a>>) -> Option<&'s Name<'a>> {
    let arrived = pods.last().filter(|name| matches!(name, Name::TargetOf(_)));
    arrived.or_else(|| pods.first())
}

/// A pod where it is.
#[derive(Debug)]
struct Placed<'a> {
    name: Name<'a>,
    labels: Cow<'a, Labels>,
    node: &'a Node,
}

/// A term of pods that are there, and the topology domains in which it keeps others away.
#[derive(Debug)]
struct Guard<'a> {
    term: Term,
    domains: Domains<'a>,
}

/// The pods in each topology domain of a term, by the value of the domain's label.
type Domains<'a> = BTreeMap<&'a str, BTreeSet<Name<'a>>>;

/// The pods that some terms select together.
#[derive(Debug)]
struct Selection<'a> {
    terms: Vec<Term>,
    /// Where they are, for each of the terms.
    domains: Vec<Domains<'a>>,
}

impl<'a> Selection<'a> {
    fn selects(&self, namespace: &str, labels: &Labels, fleet: &Fleet) -> bool {
        let mut terms = self.terms.iter();
        terms.all(|term| term.selects(namespace, labels, &fleet.namespaces))
    }

    fn add(&mut self, pod: &Placed<'a>) {
        for (term, domains) in self.terms.iter().zip(&mut self.domains) {
            if let Some(domain) = pod.node.labels.get(&term.topology) {
                domains.entry(domain).or_default().insert(pod.name);
            }
        }
    }

    fn remove(&mut self, pod: &Placed<'a>) {
        for (term, domains) in self.terms.iter().zip(&mut self.domains) {
            let domain = pod.node.labels.get(&term.topology).map(String::as_str);
            if let Some(domain) = domain
                && let Some(pods) = domains.get_mut(domain)
            {
                pods.remove(&pod.name);
                if pods.is_empty() {
                    domains.remove(domain);
                }
            }
        }
    }
}

/// The pods of a cluster, as far as they decide where another may be.
#[derive(Debug)]
pub(super) struct Pods<'a> {
    fleet: &'a Fleet,
    by_namespace: HashMap<&'a str, Vec<Placed<'a>>>,
    guards: Vec<Guard<'a>>,
    /// The guards by the text of their term: many pods have equal ones.
    by_term: HashMap<String, usize>,
    /// The guards by a label of the pods that they are about, and those about any.
    by_label: HashMap<(String, String), Vec<usize>>,
    about_any: Vec<usize>,
    /// What terms select, by their text: many VMs have equal ones.
    selections: HashMap<String, Selection<'a>>,
}

impl<'a> Pods<'a> {
    pub(super) fn new(fleet: &'a Fleet) -> Self {
        let mut pods = Self {
            fleet,
            by_namespace: HashMap::new(),
            guards: Vec::new(),
            by_term: HashMap::new(),
            by_label: HashMap::new(),
            about_any: Vec::new(),
            selections: HashMap::new(),
        };
        for (key, pod) in &fleet.pods {
            let node = pod.node.as_ref().and_then(|node| fleet.nodes.get(node));
            let Some(node) = node else { continue };
            let namespace = key.namespace().unwrap_or_default();
            let placed = Placed {
                name: Name::Pod(key),
                labels: Cow::Borrowed(&pod.labels),
                node,
            };
            let terms = pod.repels.iter().map(|term| Term::new(term, namespace));
            pods.add(namespace, placed, terms);
        }
        pods
    }

    /// Counts the target pod of a VM, which arrives on a node.
    pub(super) fn arrive(&mut self, vm: &'a ObjectKey, pod: &PodRules, node: &str) {
        let Some(node) = self.fleet.nodes.get(node) else {
            return;
        };
        let placed = Placed {
            name: Name::TargetOf(vm),
            labels: Cow::Owned(pod.labels.clone()),
            node,
        };
        let terms = pod.far.iter().map(|term| Term::of_new(term, pod));
        self.add(vm.namespace().unwrap_or_default(), placed, terms);
    }

    /// Counts no longer a pod that was there.
    pub(super) fn leave(&mut self, key: &'a ObjectKey) {
        let name = Name::Pod(key);
        let namespace = key.namespace().unwrap_or_default();
        let placed = self.by_namespace.get_mut(namespace);
        let Some(placed) = placed.and_then(|all| {
            let at = all.iter().position(|placed| placed.name == name)?;
            Some(all.swap_remove(at))
        }) else {
            return;
        };
        for selection in self.selections.values_mut() {
            if selection.selects(namespace, &placed.labels, self.fleet) {
                selection.remove(&placed);
            }
        }
        let terms = self.fleet.pods.get(key).into_iter();
        for term in terms.flat_map(|pod| &pod.repels) {
            let domain = placed.node.labels.get(&term.topology_key);
            let at = self.guard(Term::new(term, namespace));
            if let Some(domain) = domain
                && let Some(guard) = self.guards.get_mut(at)
                && let Some(pods) = guard.domains.get_mut(domain.as_str())
            {
                pods.remove(&name);
            }
        }
    }

    /// Counts a pod, which keeps those away that the terms select.
    fn add(&mut self, namespace: &'a str, placed: Placed<'a>, repels: impl Iterator<Item = Term>) {
        for term in repels {
            let Some(domain) = placed.node.labels.get(&term.topology) else {
                continue;
            };
            let at = self.guard(term);
            if let Some(guard) = self.guards.get_mut(at) {
                guard.domains.entry(domain).or_default().insert(placed.name);
            }
        }
        for selection in self.selections.values_mut() {
            if selection.selects(namespace, &placed.labels, self.fleet) {
                selection.add(&placed);
            }
        }
        self.by_namespace.entry(namespace).or_default().push(placed);
    }

    /// The position of the guard of a term.
    fn guard(&mut self, term: Term) -> usize {
        let text = format!("{term:?}");
        if let Some(at) = self.by_term.get(&text) {
            return *at;
        }
        let at = self.guards.len();
        match term.label() {
            Some(label) => self.by_label.entry(label).or_default().push(at),
            None => self.about_any.push(at),
        }
        self.guards.push(Guard {
            term,
            domains: BTreeMap::new(),
        });
        self.by_term.insert(text, at);
        at
    }

    /// Whether other pods decide where this one may be, or it where others may be.
    pub(super) fn concern(&self, pod: &PodRules) -> bool {
        pod.has_terms() || self.guards_of(pod).next().is_some()
    }

    /// What keeps a pod from nodes.
    pub(super) fn misfits(&mut self, pod: &PodRules, nodes: &Nodes<'_>) -> Groups {
        let mut groups = Groups::default();
        for guard in self.guards_of(pod) {
            for (at, _, node) in nodes.iter() {
                let domain = node.labels.get(&guard.term.topology);
                let others = domain.and_then(|domain| guard.domains.get(domain.as_str()));
                if let Some(other) = others.and_then(example) {
                    let term = &guard.term;
                    let detail =
                        format!("another pod has anti-affinity to {term}{SUCH_AS}{other})");
                    groups.add(Cause::PodAffinity, detail, [at]);
                }
            }
        }
        for term in &pod.far {
            let term = Term::of_new(term, pod);
            let Some(domains) = self.domains(slice::from_ref(&term)).first() else {
                continue;
            };
            for (at, _, node) in nodes.iter() {
                let domain = node.labels.get(&term.topology);
                let others = domain.and_then(|domain| domains.get(domain.as_str()));
                if let Some(other) = others.and_then(example) {
                    let detail = format!(
                        "the VM has anti-affinity to {term}, and there is one{SUCH_AS}{other})"
                    );
                    groups.add(Cause::PodAffinity, detail, [at]);
                }
            }
        }
        self.add_near(&mut groups, pod, nodes);
        groups
    }

    /// Adds the nodes that are not near the pods that a pod has to be near. If there are none, and it is
    /// such a pod itself, it may be the first.
    fn add_near(&mut self, groups: &mut Groups, pod: &PodRules, nodes: &Nodes<'_>) {
        if pod.near.is_empty() {
            return;
        }
        let terms: Vec<Term> = pod
            .near
            .iter()
            .map(|term| Term::of_new(term, pod))
            .collect();
        let namespaces = &self.fleet.namespaces;
        let domains = self.domains(&terms);
        let is_own = |term: &Term| term.selects(&pod.namespace, &pod.labels, namespaces);
        let is_first = domains.iter().all(BTreeMap::is_empty) && terms.iter().all(is_own);
        for (term, domains) in terms.iter().zip(domains) {
            let is_near = |node: &Node| {
                let domain = node.labels.get(&term.topology);
                domain.is_some_and(|domain| is_first || domains.contains_key(domain.as_str()))
            };
            let others = nodes.that_are(|_, node| !is_near(node));
            groups.add(
                Cause::PodAffinity,
                format!("the VM has affinity to {term}, and none is there"),
                others.iter().copied(),
            );
        }
    }

    /// The terms of pods that are there which select a pod.
    fn guards_of(&self, pod: &PodRules) -> impl Iterator<Item = &Guard<'a>> {
        let labels = pod.labels.iter();
        let by_label =
            labels.filter_map(|(key, value)| self.by_label.get(&(key.clone(), value.clone())));
        let guards = by_label.flatten().chain(&self.about_any);
        let guards = guards.filter_map(|at| self.guards.get(*at));
        let namespaces = &self.fleet.namespaces;
        guards.filter(|guard| guard.term.selects(&pod.namespace, &pod.labels, namespaces))
    }

    /// The topology domains of each term in which there is a pod that all these terms select.
    fn domains(&mut self, terms: &[Term]) -> &[Domains<'a>] {
        let fleet = self.fleet;
        if self.selections.len() >= MOST_SHAPES {
            self.selections.clear();
        }
        let pods = &self.by_namespace;
        let selection = self.selections.entry(format!("{terms:?}"));
        let selection = selection.or_insert_with(|| {
            let mut selection = Selection {
                terms: terms.to_vec(),
                domains: vec![Domains::new(); terms.len()],
            };
            for (namespace, placed) in pods {
                if !terms
                    .iter()
                    .all(|term| term.covers(namespace, &fleet.namespaces))
                {
                    continue;
                }
                for pod in placed {
                    if selection.selects(namespace, &pod.labels, fleet) {
                        selection.add(pod);
                    }
                }
            }
            selection
        });
        &selection.domains
    }
}

#[cfg(test)]
mod tests;
