//! Whether a VM can migrate, where to, and why not: what KubeVirt says of it, what kube-scheduler will
//! say of the nodes, and berth's own checks, in one judgement.

mod body;
mod claims;
mod explain;
mod nodes;
mod pod;
mod state;

use std::collections::HashMap;

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::checks::Severity;
use crate::decide::evaluate::Candidate;
use crate::decide::policy::Policy;
use crate::fleet::finding::{Finding, Verdict};
use crate::fleet::fit::Placement;
use crate::fleet::fit::pods::PodRules;
use crate::fleet::migratable;
use crate::fleet::model::{Labels, Migration, Pod, Resources};
use crate::fleet::versions::Versions;
use crate::fleet::{Fleet, advise, drain, network, policy, quota};
use crate::snapshot::Snapshot;

pub(crate) use body::has_ended;
pub use body::{Body, Kind};
pub use explain::{ExplainedNode, Explanation};

/// The judgement of one VM.
#[derive(Clone, Debug)]
pub struct Judgement<'f> {
    /// The VM.
    pub body: Body<'f>,
    /// What it comes to.
    pub verdict: Verdict,
    /// The nodes that can take it, by name. They are a guess where they are not known.
    pub targets: Vec<&'f str>,
    /// Nothing that has to be known of it was left unread.
    pub are_targets_known: bool,
    /// What its pod requests of a node.
    pub requests: Resources,
    /// What its pod is to other pods, and they to it.
    pub pods: PodRules,
    /// Where it fits, or whether it can migrate, depends on other pods.
    pub depends_on_pods: bool,
    /// The labels that its pod asks of a node.
    pub selector: Labels,
    /// What was found, the VM as a whole first, then its nodes.
    pub findings: Vec<Finding<'f>>,
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
    /// The nodes of the target pods of migrations that are not over, by the UIDs of their VMIs.
    arriving: HashMap<&'f str, &'f str>,
    /// What a plan changes of the quotas.
    quotas: quota::Changes<'f>,
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
            arriving: state::arriving(fleet),
            quotas: quota::Changes::default(),
        }
    }

    /// The judgement of one VM.
    #[must_use]
    pub fn judge(&mut self, body: Body<'f>) -> Judgement<'f> {
        if let Some(status) = body.lacks_vmi(self.fleet) {
            let lacking = format!("its VMI (the VM is {status})");
            let finding = Finding::of(Cause::NotRead, &lacking);
            return Judgement::not_judged(body, vec![finding]);
        }
        let Some(subject) = body.subject() else {
            return Judgement::not_judged(body, Vec::new());
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
        findings.extend(self.quotas(subject.namespace, &target.requests));
        for found in self.of_target(&body, &target, subject.spec) {
            // KubeVirt's condition may have said it.
            if !findings.iter().any(|known| known.code == found.code) {
                findings.push(found);
            }
        }
        let claims = self.claims(&body);
        findings.extend(claims.findings);
        findings.extend(self.not_read(&body, claims.unread));
        let are_targets_known = !findings.iter().any(Finding::is_gap);
        let (targets, of_nodes) = self.nodes(&body, &target, &claims.volumes);
        findings.extend(self.target_does_not_fit(&body, &of_nodes));
        match targets.as_slice() {
            // It has its node.
            _ if body.starts_on().is_some() => {}
            [] if are_targets_known => findings.push(Finding::of(Cause::NoTarget, "")),
            [target] if are_targets_known => findings.push(Finding::of(Cause::OneTarget, target)),
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
            let is_known = |found: &Finding<'_>| are_targets_known || !found.is(Cause::BlocksDrain);
            findings.extend(outcome.filter(is_known));
            let differing = self.passthrough(&body, subject.spec, &targets);
            findings.extend(differing);
        }
        findings.sort_by_key(|found| found.code);
        findings.extend(of_nodes);
        Judgement {
            body,
            verdict: Verdict::of(&findings),
            targets,
            are_targets_known,
            depends_on_pods: self.placement.depends_on_pods(&target)
                || quota::has_any(self.fleet, subject.namespace),
            pods: target.pods,
            requests: target.requests,
            selector: target.rules.selector,
            findings,
        }
    }

    /// Counts the target pod of a VM, which arrives on a node, for the VMs that are judged after it.
    pub fn arrive(&mut self, judgement: &Judgement<'f>, node: &str) {
        let Judgement {
            body,
            pods,
            requests,
            ..
        } = judgement;
        self.placement.arrive(body.key, pods, node);
        self.quotas.arrive(body.namespace(), requests);
    }

    /// Counts no longer the pod that a VM ran in, for the VMs that are judged after it.
    pub fn leave(&mut self, body: &Body<'f>) {
        if let Some((key, pod)) = self.source(body) {
            self.placement.leave(key);
            self.quotas.leave(body.namespace(), &pod.requests);
        }
    }

    /// Whether a quota leaves no room for the target pod of a VM now.
    #[must_use]
    pub fn exceeds_quota(&self, judgement: &Judgement<'f>) -> bool {
        let namespace = judgement.body.namespace();
        let mut found = self.quotas(namespace, &judgement.requests).into_iter();
        found.any(|found| found.is(Cause::QuotaExceeded))
    }

    fn quotas(&self, namespace: &str, requests: &Resources) -> Vec<Finding<'f>> {
        quota::exceeded(self.fleet, namespace, requests, &self.quotas)
    }
}

impl<'f> Judgement<'f> {
    fn not_judged(body: Body<'f>, findings: Vec<Finding<'f>>) -> Self {
        Self {
            body,
            verdict: Verdict::Unknown,
            targets: Vec::new(),
            are_targets_known: false,
            requests: Resources::new(),
            pods: PodRules::default(),
            depends_on_pods: false,
            selector: Labels::new(),
            findings,
        }
    }
}
