//! A term of the affinity or anti-affinity of a pod: which pods it selects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::PodAffinityTerm;
use kube::core::{Expression, Selector, SelectorExt};

use super::PodRules;
use crate::fleet::model::Labels;

/// A term of a pod, with the namespaces and the labels of the pods that it is about.
#[derive(Clone, Debug)]
pub(super) struct Term {
    namespaces: BTreeSet<String>,
    /// Namespaces by their labels.
    of_namespaces: Option<Selector>,
    /// `None` selects no pod.
    pods: Option<Selector>,
    pub(super) topology: String,
}

impl Term {
    /// A term of a pod in this namespace. A selector that kube-apiserver would refuse selects nothing.
    pub(super) fn new(term: &PodAffinityTerm, namespace: &str) -> Self {
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
    pub(super) fn of_new(term: &PodAffinityTerm, pod: &PodRules) -> Self {
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

    /// Whether it selects a pod of this namespace with these labels.
    pub(super) fn selects(
        &self,
        namespace: &str,
        labels: &Labels,
        namespaces: &BTreeMap<String, Labels>,
    ) -> bool {
        let pods = self.pods.as_ref();
        pods.is_some_and(|pods| pods.matches(labels)) && self.covers(namespace, namespaces)
    }

    /// Whether it is about the pods of this namespace.
    pub(super) fn covers(&self, namespace: &str, namespaces: &BTreeMap<String, Labels>) -> bool {
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
    pub(super) fn label(&self) -> Option<(String, String)> {
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
