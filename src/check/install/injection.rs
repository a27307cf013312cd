//! The annotation: what injects it, and whether it is injected.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::cluster::permits_bridge;
use super::line::{Asked, Line, answered};
use super::selector::matches;
use crate::api::{Cause, Fault};
use crate::decide::inject::{ALLOW_ANNOTATION, INJECT_DISABLED, INJECT_SWITCH};
use crate::decide::requirements::Requirement;

/// What was read of the ways in which the annotation is injected.
#[derive(Debug)]
pub(super) struct Injection {
    /// Whether the `MutatingWebhookConfiguration` is there.
    pub(super) webhook: Asked<bool>,
    /// Whether the `ValidatingWebhookConfiguration` is there.
    pub(super) review: Asked<bool>,
    /// The policy, if it is there.
    pub(super) policy: Asked<Option<MutatingAdmissionPolicy>>,
    /// The bindings of policies.
    pub(super) bindings: Asked<Vec<MutatingAdmissionPolicyBinding>>,
    /// The KubeVirt CRs by namespace and labels.
    pub(super) kubevirts: Asked<Vec<Value>>,
    /// The VM as the API server would store it; `None` if every namespace opts out.
    pub(super) tried: Asked<Option<(String, Asked<Value>)>>,
}

impl Injection {
    /// Everything that is found of it.
    pub(super) fn judge(&self) -> Vec<Line> {
        let has_webhook = match answered(&self.webhook, Requirement::WebhookNotFound) {
            Ok(has_webhook) => *has_webhook,
            Err(line) => return vec![line],
        };
        let policy = match answered(&self.policy, Requirement::WebhookNotFound) {
            Ok(policy) => policy.as_ref(),
            Err(line) if !has_webhook => return vec![line],
            Err(_) => None,
        };
        let found: Vec<&str> = [
            (has_webhook, "MutatingWebhookConfiguration"),
            (policy.is_some(), "MutatingAdmissionPolicy"),
        ]
        .into_iter()
        .filter_map(|(is_there, kind)| is_there.then_some(kind))
        .collect();
        if found.is_empty() {
            return vec![Line::unmet(Requirement::WebhookNotFound, "")];
        }
        let mut lines = vec![Line::met(Requirement::WebhookNotFound, &found.join(", "))];
        if policy.is_some() {
            lines.extend(self.binding());
        }
        lines.extend(self.tried());
        lines.push(
            match answered(&self.review, Requirement::MigrationsNotReviewed) {
                Ok(is_there) => Line::of(*is_there, Requirement::MigrationsNotReviewed, ""),
                Err(line) => line,
            },
        );
        lines
    }

    fn binding(&self) -> Vec<Line> {
        let bindings = match answered(&self.bindings, Requirement::PolicyNotBound) {
            Ok(bindings) => bindings,
            Err(line) => return vec![line],
        };
        let own = bindings.iter().filter_map(|binding| binding.spec.as_ref());
        let mut own = own.filter(|spec| spec.policy_name.as_deref() == Some(super::NAME));
        let Some(binding) = own.next() else {
            return vec![Line::unmet(Requirement::PolicyNotBound, "")];
        };
        let bound = Line::met(Requirement::PolicyNotBound, "");
        let kubevirts = match answered(&self.kubevirts, Requirement::PolicyParamNotFound) {
            Ok(kubevirts) => kubevirts,
            Err(line) => return vec![bound, line],
        };
        let param = binding.param_ref.clone().unwrap_or_default();
        let text = |cr: &Value, pointer: &str| {
            let text = cr.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        let selects = |cr: &&Value| {
            let labels = labels(cr);
            let is_named = param.name.is_none() || param.name == text(cr, "/metadata/name");
            let is_there =
                param.namespace.is_none() || param.namespace == text(cr, "/metadata/namespace");
            is_named
                && is_there
                && param
                    .selector
                    .as_ref()
                    .is_none_or(|own| matches(own, &labels))
        };
        let place = match &param.namespace {
            Some(namespace) => format!("namespace {namespace}"),
            None => "any namespace".to_owned(),
        };
        let is_found = kubevirts.iter().any(|cr| selects(&cr));
        let found = Line::of(is_found, Requirement::PolicyParamNotFound, &place);
        vec![bound, found]
    }

    /// What came of the VM. Without KubeVirt there are no VMs, and where KubeVirt forbids bridge binding it
    /// refuses this one: both are findings of their own.
    fn tried(&self) -> Option<Line> {
        let requirement = Requirement::NotInjected;
        let (namespace, tried) = match &self.tried {
            Ok(Some(tried)) => tried,
            Ok(None) => return Some(Line::unknown(requirement, "every namespace opts out")),
            Err(fault) => {
                let why = format!("the namespaces for a dry run can't be listed: {fault}");
                return Some(Line::unknown(requirement, &why));
            }
        };
        let vm = match tried {
            Ok(vm) => vm,
            Err(fault) if fault.cause == Cause::NotFound => return None,
            Err(fault) if fault.cause == Cause::DeniedByWebhook && self.is_bridge_forbidden() => {
                return None;
            }
            Err(fault) => return Some(refused(namespace, fault)),
        };
        let annotations = vm.pointer("/spec/template/metadata/annotations");
        let annotation = annotations.and_then(|annotations| annotations.get(ALLOW_ANNOTATION));
        let detail = format!("dry run in namespace {namespace}");
        Some(Line::of(annotation.is_some(), requirement, &detail))
    }

    fn is_bridge_forbidden(&self) -> bool {
        let first = self.kubevirts.iter().flatten().next();
        first.is_some_and(|cr| !permits_bridge(cr))
    }
}

fn refused(namespace: &str, fault: &Fault) -> Line {
    let why = format!("a dry run in namespace {namespace} failed: {fault}");
    Line::unknown(Requirement::NotInjected, &why)
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels");
    let labels = labels.and_then(|labels| serde_json::from_value(labels.clone()).ok());
    labels.unwrap_or_default()
}

/// A namespace whose objects are annotated: `default` where that does not opt out.
pub(super) fn namespace_to_try(
    namespaces: &[Namespace],
    selector: Option<&LabelSelector>,
) -> Option<String> {
    let takes_part = |namespace: &&Namespace| {
        let metadata = &namespace.metadata;
        let empty = BTreeMap::new();
        let labels = metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = metadata.annotations.as_ref().unwrap_or(&empty);
        metadata.deletion_timestamp.is_none()
            && annotations
                .get(INJECT_SWITCH)
                .is_none_or(|value| value != INJECT_DISABLED)
            && selector.is_none_or(|selector| matches(selector, labels))
    };
    let names = namespaces.iter().filter(takes_part);
    let names = names.filter_map(|namespace| namespace.metadata.name.as_deref());
    names
        .min_by_key(|name| (*name != "default", name.starts_with("kube-"), *name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vm_is_tried_in_default_or_else_in_a_namespace_that_does_not_opt_out() {
        let selector = json!({"matchExpressions": [
            {"key": "berth.dev/inject", "operator": "NotIn", "values": ["disabled"]},
        ]});
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        let plain = |name: &str| json!({"metadata": {"name": name}});
        let out = json!({"berth.dev/inject": "disabled"});
        let label = json!({"metadata": {"name": "default", "labels": out}});
        let annotation = json!({"metadata": {"name": "default", "annotations": out}});
        let going = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for (namespaces, expect) in [
            (json!([plain("a"), plain("default")]), Some("default")),
            (json!([label, plain("kube-system"), plain("b")]), Some("b")),
            (
                json!([annotation, plain("kube-system")]),
                Some("kube-system"),
            ),
            (json!([label, going]), None),
            (json!([]), None),
        ] {
            let parsed: Vec<Namespace> = serde_json::from_value(namespaces.clone()).unwrap();
            let found = namespace_to_try(&parsed, Some(&selector));
            assert_eq!(found.as_deref(), expect, "{namespaces}");
        }
    }
}
