//! Which pods keep others away from their nodes, as kube-scheduler's plugin `InterPodAffinity` sees it: by
//! their required anti-affinity. Which nodes they keep a pod from is not judged.

use k8s_openapi::api::core::v1::PodAffinityTerm;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cluster::object::ObjectKey;
use crate::fleet::Fleet;
use crate::fleet::model::Labels;

/// The rules of all pods that keep others away, each with its pod.
#[derive(Debug)]
pub(in crate::fleet) struct Repelling<'f> {
    fleet: &'f Fleet,
    rules: Vec<(&'f ObjectKey, &'f PodAffinityTerm)>,
}

impl<'f> Repelling<'f> {
    pub(in crate::fleet) fn new(fleet: &'f Fleet) -> Self {
        let placed = fleet.pods.iter().filter(|(_, pod)| pod.node.is_some());
        let rules = placed.flat_map(|(key, pod)| pod.repels.iter().map(move |term| (key, term)));
        let mut rules: Vec<_> = rules.collect();
        // The pods of a workload have the same rule.
        rules.dedup_by(|(key, term), (before, known)| {
            term == known && key.beside("") == before.beside("")
        });
        Self { fleet, rules }
    }

    /// A pod that keeps pods with these labels away.
    pub(in crate::fleet) fn pod_against(
        &self,
        namespace: &str,
        labels: &Labels,
    ) -> Option<&'f ObjectKey> {
        let mut rules = self.rules.iter();
        let (key, _) = rules.find(|(key, term)| {
            let selector = term.label_selector.as_ref();
            self.is_about(key, term, namespace)
                && selector.is_some_and(|selector| selects(selector, labels))
        })?;
        Some(key)
    }

    /// Whether a rule is about pods of this namespace: its own, unless it names others. A namespace that was
    /// not read may be meant.
    fn is_about(&self, key: &ObjectKey, term: &PodAffinityTerm, namespace: &str) -> bool {
        let names = term.namespaces.as_deref().unwrap_or_default();
        let selector = term.namespace_selector.as_ref();
        if names.is_empty() && selector.is_none() {
            return key.is_in(namespace);
        }
        names.iter().any(|name| name == namespace)
            || selector.is_some_and(|selector| {
                let labels = self.fleet.namespaces.get(namespace);
                labels.is_none_or(|labels| selects(selector, labels))
            })
    }
}

/// Whether a selector selects what has these labels.
fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let mut exact = selector.match_labels.iter().flatten();
    let mut others = selector.match_expressions.iter().flatten();
    exact.all(|(key, value)| labels.get(key) == Some(value))
        && others.all(|requirement| {
            let values = requirement.values.as_deref().unwrap_or_default();
            let label = labels.get(&requirement.key);
            match requirement.operator.as_str() {
                "In" => label.is_some_and(|label| values.contains(label)),
                "NotIn" => label.is_none_or(|label| !values.contains(label)),
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::fleet::model::Pod;

    /// Whether a pod in namespace `a` with this rule keeps a pod with these labels away.
    fn is_kept_away(rule: &Value, namespace: &str, labels: &Value) -> bool {
        let pod = Pod {
            node: Some("node".to_owned()),
            repels: vec![from_value(rule.clone()).unwrap()],
            ..Pod::default()
        };
        let key = ObjectKey::new("a", "repels");
        let mut fleet = Fleet::default();
        fleet.pods.insert(key.clone(), pod);
        for (name, team) in [("a", "red"), ("b", "blue")] {
            let labels = Labels::from([("team".to_owned(), team.to_owned())]);
            fleet.namespaces.insert(name.to_owned(), labels);
        }
        let labels: Labels = from_value(labels.clone()).unwrap();
        let found = Repelling::new(&fleet)
            .pod_against(namespace, &labels)
            .cloned();
        assert!(found.is_none() || found == Some(key));
        let mut waiting = fleet.clone();
        for pod in waiting.pods.values_mut() {
            pod.node = None;
        }
        let none = Repelling::new(&waiting)
            .pod_against(namespace, &labels)
            .cloned();
        assert_eq!(none, None, "a pod without a node keeps none away");
        found.is_some()
    }

    #[test]
    fn a_pod_keeps_those_away_that_its_anti_affinity_selects() {
        let web = json!({"app": "web"});
        let on = |selector: &Value| json!({"topologyKey": "zone", "labelSelector": selector});
        let expressed = |operator: &str, values: Value| {
            on(
                &json!({"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}),
            )
        };
        for (rule, labels, expect) in [
            (on(&json!({"matchLabels": {"app": "web"}})), &web, true),
            (
                on(&json!({"matchLabels": {"app": "web", "x": "y"}})),
                &web,
                false,
            ),
            (on(&json!({"matchLabels": {"app": "db"}})), &web, false),
            (on(&json!({})), &web, true),
            (on(&json!(null)), &web, false),
            (expressed("In", json!(["db", "web"])), &web, true),
            (expressed("In", json!(["db"])), &web, false),
            (expressed("NotIn", json!(["db"])), &web, true),
            (expressed("NotIn", json!(["web"])), &web, false),
            (expressed("NotIn", json!(["web"])), &json!({}), true),
            (expressed("Exists", json!(null)), &web, true),
            (expressed("Exists", json!(null)), &json!({}), false),
            (expressed("DoesNotExist", json!(null)), &web, false),
            (expressed("DoesNotExist", json!(null)), &json!({}), true),
        ] {
            assert_eq!(is_kept_away(&rule, "a", labels), expect, "{rule} {labels}");
            assert!(
                !is_kept_away(&rule, "b", labels),
                "{rule}: another namespace"
            );
        }
    }

    #[test]
    fn an_anti_affinity_may_be_about_other_namespaces() {
        let all = json!({"matchLabels": {"app": "web"}});
        for (namespaces, selector, a, b, unknown) in [
            (json!(["b"]), json!(null), false, true, false),
            (json!(["a", "b"]), json!(null), true, true, false),
            (json!(null), json!({}), true, true, true),
            (
                json!(null),
                json!({"matchLabels": {"team": "blue"}}),
                false,
                true,
                true,
            ),
            (
                json!(["a"]),
                json!({"matchLabels": {"team": "blue"}}),
                true,
                true,
                true,
            ),
        ] {
            let rule = json!({
                "topologyKey": "zone",
                "labelSelector": all,
                "namespaces": namespaces,
                "namespaceSelector": selector,
            });
            for (namespace, expect) in [("a", a), ("b", b), ("unknown", unknown)] {
                let is = is_kept_away(&rule, namespace, &json!({"app": "web"}));
                assert_eq!(is, expect, "{rule} {namespace}");
            }
        }
    }
}
