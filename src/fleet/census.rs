//! A fleet in numbers: how many nodes can take each VM, which machine types and CPU models run, how many
//! nodes can take those, and how often each code was found.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::finding::{Finding, Summary};
use super::judge::{Body, Judgement};
use super::kind::Kind;
use super::model::{Labels, Node, Vmi};
use super::target::{HOST_MODEL, HOST_PASSTHROUGH, labels, machine_type_label};
use crate::cluster::object::ObjectKey;
use crate::decide::checks::{Check, Severity};
use crate::decide::codes::Code;
use crate::decide::evaluate::{Evaluator, SchedulingReason};
use crate::decide::origin::Origin;
use crate::decide::policy::Policy;
use crate::domain::MachineType;
use crate::fleet::Fleet;
use crate::snapshot::Snapshot;

/// The most targets that count as few.
pub const FEW: usize = 3;

/// The CPU model of a VMI that names none, which KubeVirt runs with `host-model` (KubeVirt v1.9.0
/// `virtwrap/converter/compute/cpu.go`). A migration then selects nodes by the vendor of their CPU at most.
pub const DEFAULT_CPU_MODEL: &str = "host-model by default";

/// A fleet in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Census<'f> {
    /// How many VMs got which verdict.
    pub summary: Summary,
    /// How many VMs have how many targets.
    pub targets: TargetClasses,
    /// The VMs that no node or one alone can take, by namespace and name.
    pub scarce: Vec<Scarce<'f>>,
    /// The machine types of the VMs that run.
    pub machine_types: Vec<Usage>,
    /// The CPU models of the VMs that run.
    pub cpu_models: Vec<Usage>,
    /// The codes that were found of VMs.
    pub findings: Vec<Count>,
    /// The number of targets of each VM.
    #[serde(skip)]
    counts: BTreeMap<&'f ObjectKey, usize>,
}

/// How many VMs have how many targets: nodes that can take the VM. One that KubeVirt does not migrate counts
/// by the nodes that would fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TargetClasses {
    /// None.
    pub none: usize,
    /// One.
    pub one: usize,
    /// Two or three.
    pub few: usize,
    /// More.
    pub many: usize,
    /// It is not known, because something was not read that has to be known.
    pub unknown: usize,
}

/// A VM that no node or one alone can take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Scarce<'f> {
    /// `VirtualMachine`, or `VirtualMachineInstance` for one without a VM.
    pub kind: &'f str,
    /// Its namespace.
    pub namespace: &'f str,
    /// Its name.
    pub name: &'f str,
    /// The node that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'f str>,
    /// The node that can take it, if there is one.
    pub targets: Vec<&'f str>,
    /// The codes of what is against the other nodes.
    pub codes: BTreeSet<&'static str>,
}

/// How many VMs run with something, and how many nodes can take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// The machine type or CPU model.
    pub name: String,
    /// The VMs that run with it.
    pub vms: usize,
    /// The nodes that can take it, whatever else keeps a VM from them; `null` where the nodes were not all read.
    pub nodes: Option<usize>,
}

/// Of how many VMs a code was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// `BRT` and four digits.
    pub code: &'static str,
    /// The name of the code.
    pub name: &'static str,
    /// `error`, `warning`, `info` or `unchecked`.
    pub severity: &'static str,
    /// The VMs of which it was found as a whole. What is against single nodes does not count, unless it is a
    /// warning.
    pub vms: usize,
}

impl<'f> Census<'f> {
    /// The numbers of a fleet.
    #[must_use]
    pub fn of(
        (fleet, snapshot, policy): (&'f Fleet, &Snapshot, &Policy),
        judgements: impl Iterator<Item = Judgement<'f>>,
    ) -> Self {
        let mut census = Self::default();
        let mut codes: BTreeMap<Code, usize> = BTreeMap::new();
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        let mut models: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
        for judgement in judgements {
            census.summary.add(judgement.verdict.into());
            for code in codes_of(&judgement.findings, is_of_vm) {
                *codes.entry(code).or_default() += 1;
            }
            if judgement.body.node().is_some() {
                if let Some(machine) = judgement.body.vmi.and_then(Vmi::machine_type) {
                    *types.entry(machine.to_owned()).or_default() += 1;
                }
                let model = cpu_model(&judgement.body, &judgement.selector);
                *models.entry(model).or_default() += 1;
            }
            if judgement.are_targets_known {
                census.add_targets(&judgement);
            } else {
                census.targets.unknown += 1;
            }
        }
        let are_nodes_known = !fleet.unread.vital().any(|kind| kind == Kind::Node);
        census.findings = codes.into_iter().map(Count::from).collect();
        census.machine_types = types
            .into_iter()
            .map(|(name, vms)| Usage {
                nodes: are_nodes_known.then(|| nodes_of_type(&name, fleet, snapshot, policy)),
                name,
                vms,
            })
            .collect();
        census.cpu_models = models
            .into_iter()
            .map(|((name, label), vms)| {
                let has = |node: &&Node| match &label {
                    Some(label) => node.labels.get(label).is_some_and(|value| value == "true"),
                    // Which nodes have the CPU model of such a guest is not known.
                    None => name != HOST_MODEL,
                };
                Usage {
                    nodes: are_nodes_known.then(|| fleet.nodes.values().filter(has).count()),
                    name,
                    vms,
                }
            })
            .collect();
        census
    }

    /// The VMs of this census that no node can take, although one could in that one.
    #[must_use]
    pub fn stranded_since(&self, before: &Census<'_>) -> Vec<Scarce<'f>> {
        let had_one = |vm: &&Scarce<'_>| {
            let key = ObjectKey::new(vm.namespace, vm.name);
            before.counts.get(&key).is_some_and(|count| *count > 0)
        };
        let none = self.scarce.iter().filter(|vm| vm.targets.is_empty());
        none.filter(had_one).cloned().collect()
    }

    fn add_targets(&mut self, judgement: &Judgement<'f>) {
        let Judgement {
            body,
            targets,
            findings,
            ..
        } = judgement;
        self.counts.insert(body.key, targets.len());
        *match targets.len() {
            0 => &mut self.targets.none,
            1 => &mut self.targets.one,
            2..=FEW => &mut self.targets.few,
            _ => &mut self.targets.many,
        } += 1;
        if targets.len() < 2 {
            let against = codes_of(findings, |found| !found.nodes.is_empty());
            let against = against.filter(|code| *code != Code::Check(Check::MigrationSource));
            self.scarce.push(Scarce {
                kind: body.kind.into(),
                namespace: body.namespace(),
                name: body.name(),
                node: body.node(),
                targets: targets.clone(),
                codes: against.map(Code::id).collect(),
            });
        }
    }
}

impl From<(Code, usize)> for Count {
    fn from((code, vms): (Code, usize)) -> Self {
        Self {
            code: code.id(),
            name: code.name(),
            severity: code.severity().into(),
            vms,
        }
    }
}

/// Whether a finding is about a VM as a whole, or a warning about some of its nodes.
#[must_use]
pub fn is_of_vm(found: &Finding<'_>) -> bool {
    found.nodes.is_empty() || found.severity() == Severity::Warning
}

fn codes_of(
    findings: &[Finding<'_>],
    are: impl Fn(&Finding<'_>) -> bool,
) -> impl Iterator<Item = Code> {
    let found = findings.iter().filter(|found| are(found));
    let codes: BTreeSet<Code> = found.map(|found| found.code).collect();
    codes.into_iter()
}

/// How many nodes pass the check of the machine type, and have its label where KubeVirt selects nodes by it.
fn nodes_of_type(name: &str, fleet: &Fleet, snapshot: &Snapshot, policy: &Policy) -> usize {
    let machine_type = MachineType::new(name);
    let origin = Origin {
        node: None,
        machine_type: Some(&machine_type),
    };
    let reason = SchedulingReason::MigrationTarget;
    let mut evaluator = Evaluator::for_vm(policy, snapshot.capabilities(), reason, origin);
    let label = machine_type_label(name, fleet.kubevirt.as_ref());
    let is_selected = |node: &Node| {
        let has = |label| node.labels.get(label).is_some_and(|value| value == "true");
        label.as_ref().is_none_or(has)
    };
    let nodes = fleet.nodes.iter().filter(|(_, node)| is_selected(node));
    let candidates = nodes.filter_map(|(name, _)| snapshot.candidate(name));
    let fits = candidates.filter(|candidate| {
        let failed = evaluator.evaluate(candidate).failed;
        !failed.contains(Check::MachineType)
    });
    fits.count()
}

/// The CPU model that a VM runs with, and the label of the nodes that can take it.
fn cpu_model(body: &Body<'_>, selector: &Labels) -> (String, Option<String>) {
    let cpu = body.vmi.and_then(|vmi| vmi.spec.domain.cpu.as_ref());
    let model = cpu.and_then(|cpu| cpu.model.as_deref());
    let model = model.filter(|model| !model.is_empty());
    let prefix = match model {
        Some(HOST_MODEL) => labels::CPU_MODEL_MIGRATION,
        Some(HOST_PASSTHROUGH) | None => labels::CPU_VENDOR,
        Some(_) => labels::CPU_MODEL,
    };
    let label = selector.keys().find_map(|key| {
        let value = key.strip_prefix(prefix)?;
        Some((value, key.clone()))
    });
    let model = model.unwrap_or(DEFAULT_CPU_MODEL);
    match (model, label) {
        (HOST_MODEL | HOST_PASSTHROUGH | DEFAULT_CPU_MODEL, Some((value, label))) => {
            (format!("{model} ({value})"), Some(label))
        }
        (model, label) => (model.to_owned(), label.map(|(_, label)| label)),
    }
}
