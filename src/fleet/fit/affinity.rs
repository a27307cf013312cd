//! The required node affinity of a pod or a volume
//! (`k8s.io/component-helpers/scheduling/corev1/nodeaffinity`).

use std::fmt;
use std::hash::{Hash, Hasher};

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};

use crate::fleet::model::Labels;

/// A required node affinity. Its terms are alternatives.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeAffinity(NodeSelector);

impl Eq for NodeAffinity {}

impl Hash for NodeAffinity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for term in &self.0.node_selector_terms {
            for requirement in expressions(term).iter().chain(fields(term)) {
                requirement.key.hash(state);
                requirement.operator.hash(state);
                requirement.values.hash(state);
            }
        }
    }
}

impl NodeAffinity {
    /// The affinity that the selector states.
    #[must_use]
    pub fn new(selector: NodeSelector) -> Self {
        Self(selector)
    }

    /// Whether a node with these labels matches. Terms about fields are judged by the node's name;
    /// without it they match every node, as for a volume.
    #[must_use]
    pub fn matches(&self, labels: &Labels, name: Option<&str>) -> bool {
        let mut terms = self.0.node_selector_terms.iter();
        terms.any(|term| {
            !is_empty(term)
                && expressions(term)
                    .iter()
                    .all(|requirement| has_label(requirement, labels))
                && fields(term)
                    .iter()
                    .all(|requirement| has_field(requirement, name))
        })
    }

    /// Whether a term has no requirements. It matches no node.
    pub(crate) fn has_empty_term(&self) -> bool {
        self.0.node_selector_terms.iter().any(is_empty)
    }
}

fn expressions(term: &NodeSelectorTerm) -> &[NodeSelectorRequirement] {
    term.match_expressions.as_deref().unwrap_or_default()
}

fn fields(term: &NodeSelectorTerm) -> &[NodeSelectorRequirement] {
    term.match_fields.as_deref().unwrap_or_default()
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    expressions(term).is_empty() && fields(term).is_empty()
}

/// A requirement that kube-apiserver would refuse is not met.
fn has_label(requirement: &NodeSelectorRequirement, labels: &Labels) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let label = labels.get(&requirement.key);
    match requirement.operator.as_str() {
        "In" => label.is_some_and(|label| values.contains(label)),
        "NotIn" => !values.is_empty() && label.is_none_or(|label| !values.contains(label)),
        "Exists" => values.is_empty() && label.is_some(),
        "DoesNotExist" => values.is_empty() && label.is_none(),
        "Gt" => numbers(label, values).is_some_and(|(label, value)| label > value),
        "Lt" => numbers(label, values).is_some_and(|(label, value)| label < value),
        _ => false,
    }
}

fn numbers(label: Option<&String>, values: &[String]) -> Option<(i64, i64)> {
    let [value] = values else { return None };
    Some((label?.parse().ok()?, value.parse().ok()?))
}

/// The only field is `metadata.name`; any other is empty.
fn has_field(requirement: &NodeSelectorRequirement, name: Option<&str>) -> bool {
    let [value] = requirement.values.as_deref().unwrap_or_default() else {
        return false;
    };
    let is_equal = name.is_none_or(|name| match requirement.key.as_str() {
        "metadata.name" => name == value,
        _ => value.is_empty(),
    });
    match requirement.operator.as_str() {
        "In" => is_equal,
        "NotIn" => name.is_none() || !is_equal,
        _ => false,
    }
}

/// More values or terms than these are counted only.
const SHOWN: usize = 4;

impl fmt::Display for NodeAffinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = &self.0.node_selector_terms;
        if terms.len() > SHOWN {
            return write!(f, "none of {} terms", terms.len());
        }
        for (at, term) in terms.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " or " })?;
            if is_empty(term) {
                f.write_str("an empty term")?;
            }
            for (at, requirement) in expressions(term).iter().chain(fields(term)).enumerate() {
                f.write_str(if at == 0 { "" } else { " and " })?;
                write_requirement(f, requirement)?;
            }
        }
        Ok(())
    }
}

fn write_requirement(
    f: &mut fmt::Formatter<'_>,
    requirement: &NodeSelectorRequirement,
) -> fmt::Result {
    write!(f, "{} {}", requirement.key, requirement.operator)?;
    let values = requirement.values.as_deref().unwrap_or_default();
    match values {
        [] => Ok(()),
        [value] => write!(f, " {value}"),
        _ => write!(f, " ({})", super::list(values)),
    }
}

#[cfg(test)]
mod tests;
