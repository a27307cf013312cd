//! The pod in which a VM runs, and the one that would be placed.

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::fleet::finding::Finding;
use crate::fleet::judge::{Body, Judge};
use crate::fleet::kind::Kind;
use crate::fleet::model::{Network, Pod, Vm, VmSpec, VmiSpec};
use crate::fleet::network::definition;
use crate::fleet::target::{TargetPod, labels, unknown_containers};

impl<'f> Judge<'f> {
    /// The pod in which the VM runs, with its key.
    pub(super) fn source(&self, body: &Body<'f>) -> Option<(&'f ObjectKey, &'f Pod)> {
        body.node()?;
        let uid = body.vmi?.metadata.uid.as_str();
        self.sources.get(uid).copied()
    }

    /// The pod that would be placed.
    pub(super) fn target(
        &self,
        body: &Body<'f>,
        source: Option<&'f Pod>,
        findings: &mut Vec<Finding<'f>>,
    ) -> TargetPod {
        let kubevirt = self.fleet.kubevirt.as_ref();
        let subject = body.subject().filter(|_| source.is_none());
        if let Some(subject) = subject {
            let unknown = unknown_containers(subject.spec, subject.annotations, kubevirt);
            if !unknown.is_empty() {
                let detail = unknown.join(", ");
                findings.push(Finding::of(Cause::ContainersNotCounted, &detail));
            }
        }
        let mut target = self.rendered(body, source, findings);
        for network in subject.iter().flat_map(|subject| &subject.spec.networks) {
            if let Some(resource) = self.resource_of(body.namespace(), network) {
                *target.requests.entry(resource).or_default() += 1;
            }
        }
        target
    }

    fn rendered(
        &self,
        body: &Body<'f>,
        source: Option<&'f Pod>,
        findings: &mut Vec<Finding<'f>>,
    ) -> TargetPod {
        let kubevirt = self.fleet.kubevirt.as_ref();
        if let (Some(vmi), Some(node)) = (body.vmi, body.node()) {
            let mut unread = self.fleet.unread.vital();
            if source.is_none() && !unread.any(|kind| kind == Kind::Pod) {
                findings.push(Finding::of(Cause::NoSourcePod, ""));
            }
            return TargetPod::of_migration(
                vmi,
                source,
                self.fleet.source_node(node),
                kubevirt,
                self.pending(vmi),
            );
        }
        if let Some(vm) = body.vm {
            let VmSpec {
                instancetype,
                preference,
                ..
            } = &vm.spec;
            let names = [instancetype, preference].into_iter().flatten();
            let names: Vec<&str> = names.map(|matcher| matcher.name.as_str()).collect();
            if !names.is_empty() {
                findings.push(Finding::of(Cause::InstanceTypeNotJudged, &names.join(", ")));
            }
            return TargetPod::of_launch(vm, kubevirt);
        }
        let mut vm = Vm::default();
        if let Some(vmi) = body.vmi {
            vm.metadata = vmi.metadata.clone();
            vm.spec.template.metadata = vmi.metadata.clone();
            vm.spec.template.spec = vmi.spec.clone();
        }
        TargetPod::of_launch(&vm, kubevirt)
    }

    /// The resource of a device plugin that a network brings with it.
    fn resource_of(&self, namespace: &str, network: &Network) -> Option<String> {
        let multus = network.multus.as_ref()?;
        let key = definition(namespace, &multus.network_name);
        self.fleet.attachments.get(&key)?.clone()
    }

    /// What of the target pod is against a migration to any node, or is not judged.
    pub(super) fn of_target(
        &self,
        body: &Body<'f>,
        target: &TargetPod,
        spec: &VmiSpec,
    ) -> Vec<Finding<'f>> {
        let mut findings = not_judged(target, spec, self.runtime_class());
        if self.lacks_host_model(body, target) {
            let node = body.node().unwrap_or_default();
            findings.push(Finding::of(Cause::HostCpuUnknown, node));
        }
        findings
    }

    fn runtime_class(&self) -> Option<&'f str> {
        let cr = self.fleet.kubevirt.as_ref()?;
        cr.spec.configuration.default_runtime_class.as_deref()
    }

    /// Whether KubeVirt would not make a target pod, because the node does not say which CPU model a guest
    /// with the model of its node has (`watch/migration/migration.go`,
    /// `prepareNodeSelectorForHostCpuModel`).
    fn lacks_host_model(&self, body: &Body<'_>, target: &TargetPod) -> bool {
        let cpu = body.vmi.and_then(|vmi| vmi.spec.domain.cpu.as_ref());
        let is_host_model = cpu.is_some_and(|cpu| cpu.model.as_deref() == Some("host-model"));
        let prefixes = [labels::CPU_MODEL_MIGRATION, labels::CPU_FEATURE];
        let is_about_it = |key: &String| prefixes.iter().any(|prefix| key.starts_with(prefix));
        let is_known = target.rules.selector.keys().any(is_about_it);
        // A node that is gone or was not read is a finding of its own.
        let node = body.node().and_then(|node| self.fleet.source_node(node));
        node.is_some() && is_host_model && !is_known
    }
}

/// What of the target pod is not judged.
fn not_judged<'f>(
    target: &TargetPod,
    spec: &VmiSpec,
    runtime_class: Option<&str>,
) -> Vec<Finding<'f>> {
    let findings = target.not_judged.iter().map(|cause| {
        let name = match cause {
            Cause::OtherScheduler => spec.scheduler_name.as_deref(),
            Cause::PriorityNotJudged => spec.priority_class_name.as_deref(),
            Cause::RuntimeClassNotJudged => runtime_class,
            _ => None,
        };
        Finding::of(*cause, name.unwrap_or_default())
    });
    findings.collect()
}
