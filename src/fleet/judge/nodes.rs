//! The nodes that can take a VM, and what is against the others: kube-scheduler's rules and berth's checks.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::causes::Cause;
use crate::decide::checks::Check;
use crate::decide::codes::Code;
use crate::decide::evaluate::{self, Candidate, Evaluator, SchedulingReason};
use crate::decide::origin::Origin;
use crate::domain::MachineType;
use crate::fleet::finding::{Finding, message};
use crate::fleet::fit::pods::{SUCH_AS, TARGET_OF};
use crate::fleet::judge::{Body, Judge};
use crate::fleet::model::VmiSpec;
use crate::fleet::target::TargetPod;

impl<'f> Judge<'f> {
    /// The nodes that can take the VM, and what is against the others.
    pub(super) fn nodes(
        &mut self,
        body: &Body<'f>,
        target: &TargetPod,
        volumes: &[&str],
    ) -> (Vec<&'f str>, Vec<Finding<'f>>) {
        let placed = self.placement.misfits(target, volumes);
        let failed = self.checks(body);
        let source = body.node();
        let is_failed: BTreeSet<&str> = failed
            .iter()
            .flat_map(|found| found.nodes.iter().copied())
            .collect();
        let of_type = failed
            .iter()
            .find(|found| found.code == Code::Check(Check::MachineType));
        let of_type = of_type.map_or(&[][..], |found| found.nodes.as_slice());
        let mut targets = placed.targets();
        targets.retain(|node| !is_failed.contains(node));
        // By cause and what is lacking: how much each node has free, or which pod is on it, would make a
        // finding of each node. A pod that is there does not stand for one that a plan moves there.
        let mut grouped: BTreeMap<(Cause, &str, bool), (&str, Vec<&'f str>)> = BTreeMap::new();
        for (misfit, nodes) in placed.by_misfit() {
            let detail: &str = &misfit.detail;
            let (group, pod) = match misfit.cause {
                Cause::InsufficientResources => detail.split_once(", ").unwrap_or((detail, "")),
                Cause::PodAffinity => detail.split_once(SUCH_AS).unwrap_or((detail, "")),
                _ => (detail, ""),
            };
            // Where the VM is, nothing else matters: neither is its own pod there an example. What berth's check
            // of the machine type has said is not said again.
            let is_said = |node: &str| misfit.is_of_machine_type() && of_type.contains(&node);
            let nodes = nodes.filter(|node| Some(*node) != source && !is_said(node));
            let mut nodes = nodes.peekable();
            if nodes.peek().is_none() {
                continue;
            }
            let is_planned = misfit.cause == Cause::PodAffinity && pod.starts_with(TARGET_OF);
            let entry = grouped.entry((misfit.cause, group, is_planned));
            let (_, names) = entry.or_insert_with(|| (detail, Vec::new()));
            names.extend(nodes);
        }
        let misfits = grouped
            .into_iter()
            .map(|((cause, group, _), (detail, nodes))| Finding {
                code: Code::Cause(cause),
                message: message(
                    cause.row().text,
                    // One pod stands for the others.
                    if nodes.len() == 1 || cause == Cause::PodAffinity {
                        detail
                    } else {
                        group
                    },
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
    pub(super) fn evaluate(
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

    /// The targets with another CPU than the guest has.
    pub(super) fn passthrough(
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
