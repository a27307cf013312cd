//! Whether a VM can migrate, where to, and why not: what KubeVirt says of it, what kube-scheduler will
//! say of the nodes, and berth's own checks, in one judgement.

mod explain;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use strum::IntoStaticStr;

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::checks::{Check, Severity};
use crate::decide::codes::Code;
use crate::decide::evaluate::{self, Candidate, Evaluator, SchedulingReason};
use crate::decide::origin::Origin;
use crate::decide::policy::Policy;
use crate::domain::MachineType;
use crate::fleet::finding::{Finding, Verdict, message};
use crate::fleet::fit::Placement;
use crate::fleet::fit::pods::PodRules;
use crate::fleet::migratable::{self, Subject};
use crate::fleet::model::{Labels, Migration, Pod, Resources, Vm, VmSpec, Vmi, VmiSpec, VmiVolume};
use crate::fleet::target::{TargetPod, labels};
use crate::fleet::versions::Versions;
use crate::fleet::{Fleet, advise, drain, network, policy, quota};
use crate::snapshot::Snapshot;

pub use explain::{ExplainedNode, Explanation};

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
    /// What its pod is to other pods, and they to it.
    pub pods: PodRules,
    /// Where it fits depends on where other pods are.
    pub depends_on_pods: bool,
    /// The labels that its pod asks of a node.
    pub selector: Labels,
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
            .filter(|(key, vmi)| !fleet.vms.contains_key(*key) && !has_ended(vmi));
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

    /// The node on which it starts, if it has one and does not run yet.
    #[must_use]
    pub fn starts_on(&self) -> Option<&'f str> {
        let node = self.vmi?.status.node_name.as_deref();
        node.filter(|_| self.node().is_none())
    }

    /// The node to which a migration that is not over takes it.
    #[must_use]
    pub fn migrates_to(&self) -> Option<&'f str> {
        let state = self.vmi?.status.migration_state.as_ref();
        let state = state.filter(|state| !state.completed && !state.failed);
        let target = state.and_then(|state| state.target_node.as_deref());
        target.filter(|target| Some(*target) != self.node())
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

    /// The labels that its VMI has, or will have.
    fn labels(&self) -> &'f Labels {
        static NONE: Labels = Labels::new();
        let of_vmi = self.vmi.map(|vmi| &vmi.metadata.labels);
        let of_template = self.vm.map(|vm| &vm.spec.template.metadata.labels);
        of_vmi.or(of_template).unwrap_or(&NONE)
    }

    fn subject(&self) -> Option<Subject<'f>> {
        if let Some(vmi) = self.vmi {
            return Some(Subject {
                namespace: &vmi.metadata.namespace,
                annotations: &vmi.metadata.annotations,
                spec: &vmi.spec,
                status: Some(&vmi.status),
                is_partial: false,
            });
        }
        let vm = self.vm?;
        Some(Subject {
            namespace: &vm.metadata.namespace,
            annotations: &vm.spec.template.metadata.annotations,
            spec: &vm.spec.template.spec,
            status: None,
            is_partial: vm.spec.instancetype.is_some() || vm.spec.preference.is_some(),
        })
    }
}

/// Whether a VMI has ended, so that its launcher pod is gone or will go.
pub(crate) fn has_ended(vmi: &Vmi) -> bool {
    matches!(vmi.status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// Judges the VMs of one cluster.
pub struct Judge<'f> {
    fleet: &'f Fleet,
    snapshot: &'f Snapshot,
    policy: &'f Policy,
    placement: Placement<'f>,
    /// The nodes as berth's checks see them, by name.
    candidates: Vec<Candidate<'f>>,
    versions: Versions,
    /// The pod in which each VMI runs with its key, by the VMI's UID.
    sources: HashMap<&'f str, (&'f ObjectKey, &'f Pod)>,
    /// The migrations that are not over, by namespace and name of their VMI.
    migrations: HashMap<(&'f str, &'f str), &'f Migration>,
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
            candidates: fleet
                .nodes
                .keys()
                .filter_map(|name| snapshot.candidate(name))
                .collect(),
            versions: Versions::of(fleet),
            sources: fleet.source_pods(),
            migrations: fleet
                .migrations
                .values()
                .filter(|migration| !migration.is_over())
                .map(|migration| {
                    let namespace = migration.metadata.namespace.as_str();
                    ((namespace, migration.spec.vmi_name.as_str()), migration)
                })
                .collect(),
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
                pods: PodRules::default(),
                depends_on_pods: false,
                selector: Labels::new(),
                findings: Vec::new(),
            };
        };
        let mut findings = self.state(&body);
        findings.extend(migratable::causes(subject, self.fleet));
        findings.extend(advise::of_vm(&self.versions, subject));
        let networks = &subject.spec.networks;
        findings.extend(network::attachments(
            self.fleet,
            subject.namespace,
            networks,
        ));
        findings.extend(policy::findings(
            self.fleet,
            subject.namespace,
            body.labels(),
        ));
        let source = self.source(&body).map(|(_, pod)| pod);
        let launcher = source.and_then(|pod| pod.launcher.as_deref());
        if let Some(launcher) = launcher {
            findings.extend(network::kube_ovn(self.fleet, body.key, launcher));
        }
        let target = self.target(&body, source, &mut findings);
        findings.extend(quota::exceeded(
            self.fleet,
            subject.namespace,
            &target.requests,
        ));
        findings.extend(not_judged(&target, subject.spec));
        if lacks_host_model(&body, &target) {
            let known = Code::Cause(Cause::HostCpuUnknown);
            if !findings.iter().any(|found| found.code == known) {
                let node = body.node().unwrap_or_default();
                findings.push(Finding::of(Cause::HostCpuUnknown, node));
            }
        }
        let (targets, of_nodes) = self.nodes(&body, &target, &mut findings);
        match targets.as_slice() {
            [] => findings.push(Finding::of(Cause::NoTarget, "")),
            [target] => findings.push(Finding::of(Cause::OneTarget, target)),
            _ => {}
        }
        if let Some(launcher) = launcher {
            findings.extend(network::underlay(self.fleet, launcher, &targets));
            let vm = [body.namespace(), body.name()];
            findings.extend(network::ports(self.snapshot, vm, launcher, &targets));
        }
        if body.node().is_some() {
            let is_blocked = findings
                .iter()
                .any(|found| found.severity() == Severity::Error);
            let is_migratable = subject.status.is_some_and(migratable::is_live_migratable);
            let outcome = drain::outcome(self.fleet, subject.spec, is_blocked, is_migratable);
            findings.extend(outcome);
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
            depends_on_pods: self.placement.depends_on_pods(&target),
            pods: target.pods,
            requests: target.requests,
            selector: target.rules.selector,
            findings,
        }
    }

    /// Counts the target pod of a VM, which arrives on a node, for the VMs that are judged after it.
    pub fn arrive(&mut self, judgement: &Judgement<'f>, node: &str) {
        let Judgement { body, pods, .. } = judgement;
        self.placement.arrive(body.key, pods, node);
    }

    /// Counts no longer the pod that a VM ran in, for the VMs that are judged after it.
    pub fn leave(&mut self, body: &Body<'f>) {
        if let Some((pod, _)) = self.source(body) {
            self.placement.leave(pod);
        }
    }

    /// Whether the VM is in a state in which it can be migrated.
    fn state(&self, body: &Body<'f>) -> Vec<Finding<'f>> {
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
        if let Some(node) = body.node()
            && !self.fleet.nodes.get(node).is_some_and(|node| node.is_ready)
        {
            found.push(Finding::of(Cause::SourceNotReady, node));
        }
        if let Some(migration) = self.migration(vmi) {
            found.push(Finding::of(Cause::MigrationInProgress, &migration));
        }
        found
    }

    /// The migration of a VMI that is not over, in a few words.
    fn migration(&self, vmi: &Vmi) -> Option<String> {
        let state = vmi.status.migration_state.as_ref();
        let state = state.filter(|state| !state.completed && !state.failed);
        if let Some(state) = state
            && let Some(target) = &state.target_node
        {
            let source = state.source_node.as_deref().unwrap_or("?");
            return Some(format!("from {source} to {target}"));
        }
        let key = (vmi.metadata.namespace.as_str(), vmi.metadata.name.as_str());
        let migration = self.migrations.get(&key)?;
        let phase = migration
            .status
            .phase
            .as_deref()
            .filter(|phase| !phase.is_empty());
        let name = &migration.metadata.name;
        Some(format!("{name}, {}", phase.unwrap_or("not begun")))
    }

    /// The pod in which the VM runs, with its key.
    fn source(&self, body: &Body<'f>) -> Option<(&'f ObjectKey, &'f Pod)> {
        body.node()?;
        let uid = body.vmi?.metadata.uid.as_str();
        self.sources.get(uid).copied()
    }

    /// The pod that would be placed.
    fn target(
        &self,
        body: &Body<'f>,
        source: Option<&'f Pod>,
        findings: &mut Vec<Finding<'f>>,
    ) -> TargetPod {
        let kubevirt = self.fleet.kubevirt.as_ref();
        if let (Some(vmi), Some(node)) = (body.vmi, body.node()) {
            if source.is_none() {
                findings.push(Finding::of(Cause::NoSourcePod, ""));
            }
            return TargetPod::of_migration(
                vmi,
                source,
                self.fleet.source_node(node),
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
            vm.metadata = vmi.metadata.clone();
            vm.spec.template.metadata = vmi.metadata.clone();
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
        // By cause and what is lacking: how much each node has free, or which pod is on it, would make a
        // finding of each node.
        let mut grouped: BTreeMap<(Cause, &str), (&str, Vec<&'f str>)> = BTreeMap::new();
        for (misfit, nodes) in placed.by_misfit() {
            let detail: &str = &misfit.detail;
            let group = match misfit.cause {
                Cause::InsufficientResources | Cause::PodAffinity => {
                    detail.split(", ").next().unwrap_or_default()
                }
                _ => detail,
            };
            let entry = grouped.entry((misfit.cause, group));
            let (_, names) = entry.or_insert_with(|| (detail, Vec::new()));
            // Where the VM is, nothing else matters.
            names.extend(nodes.filter(|node| Some(*node) != source));
        }
        let grouped = grouped
            .into_iter()
            .filter(|(_, (_, nodes))| !nodes.is_empty());
        let misfits = grouped.map(|((cause, group), (detail, nodes))| Finding {
            code: Code::Cause(cause),
            message: message(
                cause.row().text,
                if nodes.len() == 1 { detail } else { group },
            ),
            nodes,
        });
        let mut of_nodes: Vec<Finding<'f>> = misfits.chain(failed).collect();
        of_nodes.sort_by(|one, next| (one.code, &one.message).cmp(&(next.code, &next.message)));
        (targets, of_nodes)
    }

    /// The nodes that fail the checks of the filter.
    fn checks(&self, body: &Body<'f>) -> Vec<Finding<'f>> {
        let mut failed: BTreeMap<Check, Vec<&'f str>> = BTreeMap::new();
        let machine_type = self.evaluate(body, |candidate, verdict, is_source| {
            for check in verdict.failed.iter() {
                // Where the VM is, nothing else matters.
                if check == Check::MigrationSource || !is_source {
                    failed.entry(check).or_default().push(candidate.name);
                }
            }
        });
        let failed = failed.into_iter().map(|(check, nodes)| Finding {
            code: Code::Check(check),
            message: check.text(machine_type.as_deref()).into_owned(),
            nodes,
        });
        failed.collect()
    }

    /// Makes the checks of the filter, and gives the machine type that they were made for. `each` gets a
    /// node, the verdict on it, and whether the VM runs there.
    fn evaluate(
        &self,
        body: &Body<'f>,
        mut each: impl FnMut(&Candidate<'f>, evaluate::Verdict, bool),
    ) -> Option<String> {
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
        let machine_type = machine_type.map(str::to_owned);
        let capabilities = self.snapshot.capabilities();
        let mut evaluator = Evaluator::for_vm(self.policy, capabilities, reason, origin);
        for candidate in &self.candidates {
            let is_source = origin.node == Some(candidate.name);
            each(candidate, evaluator.evaluate(candidate), is_source);
        }
        machine_type
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
            let volume = claim.and_then(|claim| claim.volume.as_deref());
            match volume.filter(|volume| self.fleet.volumes.contains_key(*volume)) {
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

/// Whether KubeVirt would not make a target pod, because the node does not say which CPU model a guest with
/// the model of its node has (`watch/migration/migration.go`, `prepareNodeSelectorForHostCpuModel`).
fn lacks_host_model(body: &Body<'_>, target: &TargetPod) -> bool {
    let cpu = body.vmi.and_then(|vmi| vmi.spec.domain.cpu.as_ref());
    let is_host_model = cpu.is_some_and(|cpu| cpu.model.as_deref() == Some("host-model"));
    let prefixes = [labels::CPU_MODEL_MIGRATION, labels::CPU_FEATURE];
    let is_about_it = |key: &String| prefixes.iter().any(|prefix| key.starts_with(prefix));
    let is_known = target.rules.selector.keys().any(is_about_it);
    body.node().is_some() && is_host_model && !is_known
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
