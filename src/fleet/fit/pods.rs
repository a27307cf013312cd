//! Required affinity and anti-affinity to pods, as kube-scheduler's plugin `InterPodAffinity` judges it
//! (`pkg/scheduler/framework/plugins/interpodaffinity/filtering.go`, Kubernetes 1.36). Pods count where they
//! are now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use k8s_openapi::api::core::v1::{Affinity, PodAffinityTerm};
use kube::core::{Expression, Selector, SelectorExt};

use super::nodes::{Groups, Nodes};
use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::model::{Labels, Node, Pod};

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

    /// Whether they depend on where other pods are.
    #[must_use]
    pub fn has_terms(&self) -> bool {
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

/// A term of a pod, with the namespaces and the labels of the pods that it is about.
#[derive(Debug)]
struct Term {
    namespaces: BTreeSet<String>,
    /// Namespaces by their labels.
    of_namespaces: Option<Selector>,
    /// `None` selects no pod.
    pods: Option<Selector>,
    topology: String,
}

impl Term {
    /// A term of a pod in this namespace. A selector that kube-apiserver would refuse selects nothing.
    fn new(term: &PodAffinityTerm, namespace: &str) -> Self {
        let read =
            |selector: &Option<_>| selector.clone().and_then(|it| Selector::try_from(it).ok());
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(namespace.to_owned());
        }
        Self {
            namespaces,
            of_namespaces: read(&term.namespace_selector),
            pods: read(&term.label_selector),
            topology: term.topology_key.clone(),
        }
    }

    /// A term of a pod that is not created yet: kube-apiserver adds the labels of the pod that the term
    /// names by their keys (`pkg/registry/core/pod/strategy.go`).
    fn of_new(term: &PodAffinityTerm, pod: &PodRules) -> Self {
        let mut made = Self::new(term, &pod.namespace);
        let values =
            |key: &String| Some((key.clone(), BTreeSet::from([pod.labels.get(key)?.clone()])));
        let same = term.match_label_keys.iter().flatten().filter_map(values);
        let other = term.mismatch_label_keys.iter().flatten().filter_map(values);
        if let Some(pods) = &mut made.pods {
            pods.extend(same.map(|(key, values)| Expression::In(key, values)));
            pods.extend(other.map(|(key, values)| Expression::NotIn(key, values)));
        }
        made
    }

    fn selects(
        &self,
        namespace: &str,
        labels: &Labels,
        namespaces: &BTreeMap<String, Labels>,
    ) -> bool {
        let pods = self.pods.as_ref();
        pods.is_some_and(|pods| pods.matches(labels)) && self.covers(namespace, namespaces)
    }

    fn covers(&self, namespace: &str, namespaces: &BTreeMap<String, Labels>) -> bool {
        if self.namespaces.contains(namespace) {
            return true;
        }
        // A namespace that was not read counts as one without labels, as for kube-scheduler.
        let none = Labels::new();
        let labels = namespaces.get(namespace).unwrap_or(&none);
        let by_labels = self.of_namespaces.as_ref();
        by_labels.is_some_and(|selector| selector.matches(labels))
    }

    /// A label that every pod has which the term selects, if the selector is that simple.
    fn label(&self) -> Option<(String, String)> {
        let mut expressions = self.pods.clone()?.into_iter();
        expressions.find_map(|expression| match expression {
            Expression::Equal(key, value) => Some((key, value)),
            Expression::In(key, mut values) if values.len() == 1 => {
                Some((key, values.pop_first()?))
            }
            _ => None,
        })
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topology = &self.topology;
        match &self.pods {
            None => write!(f, "no pod, on the same {topology}"),
            Some(pods) if pods.selects_all() => write!(f, "any pod on the same {topology}"),
            Some(pods) => write!(f, "pods {pods} on the same {topology}"),
        }
    }
}

/// A term of pods that are there, and the topology domains in which it keeps others away.
#[derive(Debug)]
struct Guard<'a> {
    term: Term,
    /// A pod in each domain, by the value of the domain's label.
    domains: BTreeMap<&'a str, String>,
}

/// The pods of a cluster, as far as they decide where another may be.
#[derive(Debug)]
pub(super) struct Pods<'a> {
    fleet: &'a Fleet,
    by_namespace: HashMap<&'a str, Vec<(&'a Pod, &'a Node)>>,
    guards: Vec<Guard<'a>>,
    /// The guards by a label of the pods that they are about, and those about any.
    by_label: HashMap<(String, String), Vec<usize>>,
    about_any: Vec<usize>,
}

impl<'a> Pods<'a> {
    pub(super) fn new(fleet: &'a Fleet) -> Self {
        let mut by_namespace: HashMap<_, Vec<_>> = HashMap::new();
        // Many pods have equal terms.
        let mut guards: BTreeMap<String, Guard<'a>> = BTreeMap::new();
        for (key, pod) in &fleet.pods {
            let node = pod.node.as_ref().and_then(|node| fleet.nodes.get(node));
            let Some(node) = node else { continue };
            let namespace = key.namespace().unwrap_or_default();
            by_namespace.entry(namespace).or_default().push((pod, node));
            for term in &pod.repels {
                let Some(domain) = node.labels.get(&term.topology_key) else {
                    continue;
                };
                let guard = guards.entry(format!("{namespace} {term:?}"));
                let guard = guard.or_insert_with(|| Guard {
                    term: Term::new(term, namespace),
                    domains: BTreeMap::new(),
                });
                let pod = guard.domains.entry(domain);
                pod.or_insert_with(|| key.to_string());
            }
        }
        let guards: Vec<Guard<'a>> = guards.into_values().collect();
        let mut by_label: HashMap<_, Vec<usize>> = HashMap::new();
        let mut about_any = Vec::new();
        for (at, guard) in guards.iter().enumerate() {
            match guard.term.label() {
                Some(label) => by_label.entry(label).or_default().push(at),
                None => about_any.push(at),
            }
        }
        Self {
            fleet,
            by_namespace,
            guards,
            by_label,
            about_any,
        }
    }

    /// What keeps a pod from nodes.
    pub(super) fn misfits(&self, pod: &PodRules, nodes: &Nodes<'_>) -> Groups {
        let mut groups = Groups::default();
        for guard in self.guards_of(pod) {
            for (at, _, node) in nodes.iter() {
                let domain = node.labels.get(&guard.term.topology);
                let other = domain.and_then(|domain| guard.domains.get(domain.as_str()));
                if let Some(other) = other {
                    let detail = format!(
                        "kept off by a pod on the same {}, {other}",
                        guard.term.topology
                    );
                    groups.add(Cause::PodAffinity, detail, [at]);
                }
            }
        }
        for term in &pod.far {
            let term = Term::of_new(term, pod);
            let domains = self.domains(&term, &[&term]);
            let is_taken = |node: &Node| {
                let domain = node.labels.get(&term.topology);
                domain.is_some_and(|domain| domains.contains(domain.as_str()))
            };
            let taken = nodes.that_are(|_, node| is_taken(node));
            let detail = format!("not with {term}");
            groups.add(Cause::PodAffinity, detail, taken.iter().copied());
        }
        self.add_near(&mut groups, pod, nodes);
        groups
    }

    /// Adds the nodes that are not near the pods that a pod has to be near. If there are none, and it is
    /// such a pod itself, it may be the first.
    fn add_near(&self, groups: &mut Groups, pod: &PodRules, nodes: &Nodes<'_>) {
        let terms: Vec<Term> = pod
            .near
            .iter()
            .map(|term| Term::of_new(term, pod))
            .collect();
        let all: Vec<&Term> = terms.iter().collect();
        let domains: Vec<_> = terms.iter().map(|term| self.domains(term, &all)).collect();
        let namespaces = &self.fleet.namespaces;
        let is_own = |term: &Term| term.selects(&pod.namespace, &pod.labels, namespaces);
        let is_first = domains.iter().all(BTreeSet::is_empty) && terms.iter().all(is_own);
        for (term, domains) in terms.iter().zip(&domains) {
            let is_near = |node: &Node| {
                let domain = node.labels.get(&term.topology);
                domain.is_some_and(|domain| is_first || domains.contains(domain.as_str()))
            };
            let others = nodes.that_are(|_, node| !is_near(node));
            groups.add(
                Cause::PodAffinity,
                format!("only with {term}"),
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

    /// The topology domains of a term in which there is a pod that all these terms select.
    fn domains(&self, term: &Term, all: &[&Term]) -> BTreeSet<&'a str> {
        let namespaces = &self.fleet.namespaces;
        let covered = self.by_namespace.iter();
        let covered = covered.filter(|(namespace, _)| term.covers(namespace, namespaces));
        let pods =
            covered.flat_map(|(namespace, pods)| pods.iter().map(move |it| (*namespace, it)));
        let selected = pods.filter(|(namespace, (pod, _))| {
            all.iter()
                .all(|term| term.selects(namespace, &pod.labels, namespaces))
        });
        let domains = selected.filter_map(|(_, (_, node))| node.labels.get(&term.topology));
        domains.map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests;
