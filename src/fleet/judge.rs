//! Whether a VM can migrate, where to, and why not: what KubeVirt says of it, what kube-scheduler will
//! say of the nodes, and berth's own checks, in one judgement.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use strum::IntoStaticStr;

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::checks::{Check, Severity};
use crate::decide::codes::Code;
use crate::decide::evaluate::{Evaluator, SchedulingReason};
use crate::decide::origin::Origin;
use crate::decide::policy::Policy;
use crate::domain::MachineType;
use crate::fleet::finding::{Finding, Verdict};
use crate::fleet::fit::Placement;
use crate::fleet::migratable::{self, Subject};
use crate::fleet::model::{Pod, Resources, Vm, VmSpec, Vmi, VmiSpec, VmiVolume};
use crate::fleet::target::TargetPod;
use crate::fleet::versions::Versions;
use crate::fleet::{Fleet, advise, drain, quota};
use crate::snapshot::Snapshot;

/// What was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
pub enum Kind {
    /// A VM, with its VMI if it runs.
    VirtualMachine,
    /// A VMI without a VM.
    VirtualMachineInstance,
}

/// A VM to be judged: its object, the VMI that runs, or both.
#[derive(Clone, Copy, Debug)]
pub struct Body<'f> {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub key: &'f ObjectKey,
    /// The VM.
    pub vm: Option<&'f Vm>,
    /// The VMI that has not ended.
    pub vmi: Option<&'f Vmi>,
}

/// The judgement of one VM.
#[derive(Clone, Debug)]
pub struct Judgement<'f> {
    /// The VM.
    pub body: Body<'f>,
    /// What it comes to.
    pub verdict: Verdict,
    /// The nodes that can take it, by name.
    pub targets: Vec<&'f str>,
    /// What its pod requests of a node.
    pub requests: Resources,
    /// What was found, the VM as a whole first, then its nodes.
    pub findings: Vec<Finding<'f>>,
}

impl<'f> Body<'f> {
    /// Every VM of a cluster: each counts once, whether it runs or not.
    pub fn all(fleet: &'f Fleet) -> impl Iterator<Item = Self> {
        let vms = fleet.vms.iter().map(|(key, vm)| Self {
            kind: Kind::VirtualMachine,
            key,
            vm: Some(vm),
            vmi: fleet.vmis.get(key).filter(|vmi| !has_ended(vmi)),
        });
        let alone = fleet
            .vmis
            .iter()
            .filter(|(key, _)| !fleet.vms.contains_key(*key));
        let alone = alone.map(|(key, vmi)| Self {
            kind: Kind::VirtualMachineInstance,
            key,
            vm: None,
            vmi: Some(vmi),
        });
        vms.chain(alone)
    }

    /// The node that it runs on.
    #[must_use]
    pub fn node(&self) -> Option<&'f str> {
        let status = &self.vmi?.status;
        // Unknown: virt-handler can't be reached, and the VM is where it was.
        let runs = matches!(status.phase.as_deref(), Some("Running" | "Unknown"));
        status.node_name.as_deref().filter(|_| runs)
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &'f str {
        let metadata = self.vm.map(|vm| &vm.metadata);
        let metadata = metadata.or(self.vmi.map(|vmi| &vmi.metadata));
        metadata.map_or("", |metadata| metadata.namespace.as_str())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'f str {
        let metadata = self.vm.map(|vm| &vm.metadata);
        let metadata = metadata.or(self.vmi.map(|vmi| &vmi.metadata));
        metadata.map_or("", |metadata| metadata.name.as_str())
    }

    fn subject(&self) -> Option<Subject<'f>> {
        if let Some(vmi) = self.vmi {
            return Some(Subject {
                namespace: &vmi.metadata.namespace,
                annotations: &vmi.metadata.annotations,
                spec: &vmi.spec,
                status: Some(&vmi.status),
            });
        }
        let vm = self.vm?;
        Some(Subject {
            namespace: &vm.metadata.namespace,
            annotations: &vm.spec.template.metadata.annotations,
            spec: &vm.spec.template.spec,
            status: None,
        })
    }
}

fn has_ended(vmi: &Vmi) -> bool {
    matches!(vmi.status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// Judges the VMs of one cluster.
pub struct Judge<'f> {
    fleet: &'f Fleet,
    snapshot: &'f Snapshot,
    policy: &'f Policy,
    placement: Placement<'f>,
    versions: Versions,
    /// The pod in which each VMI runs, by the VMI's UID.
    sources: HashMap<&'f str, &'f Pod>,
}

impl<'f> Judge<'f> {
    /// Judges by these checks. `snapshot` is the same cluster as the service sees it.
    #[must_use]
    pub fn new(fleet: &'f Fleet, snapshot: &'f Snapshot, policy: &'f Policy) -> Self {
        Self {
            fleet,
            snapshot,
            policy,
            placement: Placement::new(fleet),
            versions: Versions::of(fleet),
            sources: fleet.source_pods(),
        }
    }

    /// The judgement of one VM.
    #[must_use]
    pub fn judge(&mut self, body: Body<'f>) -> Judgement<'f> {
        let Some(subject) = body.subject() else {
            return Judgement {
                body,
                verdict: Verdict::Unknown,
                targets: Vec::new(),
                requests: Resources::new(),
                findings: Vec::new(),
            };
        };
        let mut findings = state(&body);
        findings.extend(migratable::causes(subject, self.fleet));
        findings.extend(advise::of_vm(&self.versions, subject));
        findings.extend(self.networks(&subject));
        let target = self.target(&body, &mut findings);
        findings.extend(quota::exceeded(
            self.fleet,
            subject.namespace,
            &target.requests,
        ));
        findings.extend(not_judged(&target, subject.spec));
        let (targets, of_nodes) = self.nodes(&body, &target, &mut findings);
        match targets.as_slice() {
            [] => findings.push(Finding::of(Cause::NoTarget, "")),
            [target] => findings.push(Finding::of(Cause::OneTarget, target)),
            _ => {}
        }
        if body.node().is_some() {
            let is_blocked = findings
                .iter()
                .any(|found| found.severity() == Severity::Error);
            findings.extend(drain::outcome(self.fleet, subject.spec, is_blocked));
            let differing = self.passthrough(&body, subject.spec, &targets);
            findings.extend(differing);
        }
        findings.sort_by_key(|found| found.code);
        let verdict = Verdict::of(&findings);
        findings.extend(of_nodes);
        Judgement {
            body,
            verdict,
            targets,
            requests: target.requests,
            findings,
        }
    }

    /// The networks that the target pod can't be attached to.
    fn networks(&self, subject: &Subject<'f>) -> Vec<Finding<'f>> {
        // Without a single definition Multus is not installed, or they could not be listed.
        if self.fleet.attachments.is_empty() {
            return Vec::new();
        }
        let networks = subject.spec.networks.iter();
        let names =
            networks.filter_map(|network| Some(network.multus.as_ref()?.network_name.as_str()));
        let missing = names.filter(|name| {
            let (namespace, name) = name.split_once('/').unwrap_or((subject.namespace, name));
            !self
                .fleet
                .attachments
                .contains(&ObjectKey::new(namespace, name))
        });
        missing
            .map(|name| Finding::of(Cause::NetworkNotFound, name))
            .collect()
    }

    /// The pod that would be placed.
    fn target(&self, body: &Body<'f>, findings: &mut Vec<Finding<'f>>) -> TargetPod {
        let kubevirt = self.fleet.kubevirt.as_ref();
        if let (Some(vmi), Some(node)) = (body.vmi, body.node()) {
            let source = self.sources.get(vmi.metadata.uid.as_str()).copied();
            if source.is_none() {
                findings.push(Finding::of(Cause::NoSourcePod, ""));
            }
            return TargetPod::of_migration(
                vmi,
                source,
                self.fleet.nodes.get(node),
                kubevirt,
                None,
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
            vm.spec.template.spec = vmi.spec.clone();
        }
        TargetPod::of_launch(&vm, kubevirt)
    }

    /// The nodes that can take the VM, and what is against the others.
    fn nodes(
        &mut self,
        body: &Body<'f>,
        target: &TargetPod,
        findings: &mut Vec<Finding<'f>>,
    ) -> (Vec<&'f str>, Vec<Finding<'f>>) {
        let volumes = self.volumes(body, findings);
        let placed = self.placement.misfits(target, &volumes);
        let failed = self.checks(body);
        let source = body.node();
        let is_failed: BTreeSet<&str> = failed
            .iter()
            .flat_map(|found| found.nodes.iter().copied())
            .collect();
        let mut targets = placed.targets();
        targets.retain(|node| !is_failed.contains(node));
        let misfits = placed.by_misfit().filter_map(|(misfit, nodes)| {
            // Where the VM is, nothing else matters.
            let nodes: Vec<&str> = nodes.filter(|node| Some(*node) != source).collect();
            (!nodes.is_empty()).then(|| Finding {
                nodes,
                ..Finding::of(misfit.cause, &misfit.detail)
            })
        });
        let mut of_nodes: Vec<Finding<'f>> = misfits.chain(failed).collect();
        of_nodes.sort_by(|one, next| (one.code, &one.message).cmp(&(next.code, &next.message)));
        (targets, of_nodes)
    }

    /// The nodes that fail the checks of the filter.
    fn checks(&self, body: &Body<'f>) -> Vec<Finding<'f>> {
        let seen = body.vmi.and_then(|vmi| {
            let metadata = &vmi.metadata;
            let cluster = &self.snapshot.cluster;
            cluster.vmi(&metadata.namespace, &metadata.name, &metadata.uid)
        });
        let asked = body.vm.and_then(|vm| {
            let machine = vm.spec.template.spec.domain.machine.as_ref()?;
            let name = machine
                .machine_type
                .as_deref()
                .filter(|name| !name.is_empty());
            name.map(MachineType::new)
        });
        let origin = match seen {
            Some(vmi) => self.snapshot.cluster.origin(vmi),
            None => Origin {
                node: body.node(),
                machine_type: asked.as_ref(),
            },
        };
        let reason = match body.node() {
            Some(_) => SchedulingReason::MigrationTarget,
            None => SchedulingReason::Launch,
        };
        let machine_type = origin.machine_type.and_then(MachineType::name);
        let capabilities = self.snapshot.capabilities();
        let mut evaluator = Evaluator::for_vm(self.policy, capabilities, reason, origin);
        let mut failed: BTreeMap<Check, Vec<&'f str>> = BTreeMap::new();
        for name in self.fleet.nodes.keys() {
            let Some(candidate) = self.snapshot.candidate(name) else {
                continue;
            };
            for check in evaluator.evaluate(&candidate).failed.iter() {
                // Where the VM is, nothing else matters.
                if check == Check::MigrationSource || origin.node != Some(name.as_str()) {
                    failed.entry(check).or_default().push(name);
                }
            }
        }
        let failed = failed.into_iter().map(|(check, nodes)| Finding {
            code: Code::Check(check),
            message: check.text(machine_type).into_owned(),
            nodes,
        });
        failed.collect()
    }

    /// The names of the volumes that the VM's claims are bound to.
    fn volumes(&self, body: &Body<'f>, findings: &mut Vec<Finding<'f>>) -> Vec<&'f str> {
        let Some(subject) = body.subject() else {
            return Vec::new();
        };
        let mut volumes = Vec::new();
        for name in subject.spec.volumes.iter().filter_map(VmiVolume::claim) {
            let claim = self
                .fleet
                .claims
                .get(&ObjectKey::new(subject.namespace, name));
            match claim.and_then(|claim| claim.volume.as_deref()) {
                Some(volume) => volumes.push(volume),
                None => findings.push(Finding::of(Cause::ClaimNotBound, name)),
            }
        }
        volumes
    }

    /// The targets with another CPU than the guest has.
    fn passthrough(
        &mut self,
        body: &Body<'f>,
        spec: &VmiSpec,
        targets: &[&'f str],
    ) -> Vec<Finding<'f>> {
        let model = spec
            .domain
            .cpu
            .as_ref()
            .and_then(|cpu| cpu.model.as_deref());
        let Some(source) = body.node().filter(|_| model == Some("host-passthrough")) else {
            return Vec::new();
        };
        let differing = self.placement.passthrough(source);
        let findings = differing.by_misfit().filter_map(|(misfit, nodes)| {
            let nodes: Vec<&str> = nodes.filter(|node| targets.contains(node)).collect();
            (!nodes.is_empty()).then(|| Finding {
                nodes,
                ..Finding::of(misfit.cause, &misfit.detail)
            })
        });
        findings.collect()
    }
}

/// Whether the VM is in a state in which it can be migrated.
fn state<'f>(body: &Body<'_>) -> Vec<Finding<'f>> {
    let Some(vmi) = body.vmi else {
        let status = body.vm.and_then(|vm| vm.status.printable_status.as_deref());
        return vec![Finding::of(Cause::NotRunning, status.unwrap_or_default())];
    };
    let mut found = Vec::new();
    let phase = vmi.status.phase.as_deref().unwrap_or_default();
    if vmi.metadata.deletion_timestamp.is_some() || has_ended(vmi) {
        found.push(Finding::of(Cause::Ending, phase));
    } else if body.node().is_none() {
        found.push(Finding::of(Cause::NotRunning, phase));
    }
    if let Some(state) = &vmi.status.migration_state
        && !state.completed
        && !state.failed
        && state.target_node.is_some()
    {
        let node = |node: &Option<String>| node.clone().unwrap_or_else(|| "?".to_owned());
        let way = format!(
            "from {} to {}",
            node(&state.source_node),
            node(&state.target_node)
        );
        found.push(Finding::of(Cause::MigrationInProgress, &way));
    }
    found
}

/// What of the target pod is not judged.
fn not_judged<'f>(target: &TargetPod, spec: &VmiSpec) -> Vec<Finding<'f>> {
    let findings = target.not_judged.iter().map(|cause| {
        let scheduler = spec
            .scheduler_name
            .as_deref()
            .filter(|_| *cause == Cause::OtherScheduler);
        Finding::of(*cause, scheduler.unwrap_or_default())
    });
    findings.collect()
}
