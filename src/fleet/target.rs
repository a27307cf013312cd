//! The launcher pod that a migration or a start makes, as far as it decides on the node. It is rendered
//! anew from the VMI, as virt-controller does it (`pkg/virt-controller/services/template.go` and
//! `watch/migration/migration.go`).

mod containers;
pub(crate) mod labels;
mod overhead;
mod requests;
mod selector;
mod version;

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use k8s_openapi::api::core::v1::{PodAffinityTerm, Toleration};

use crate::decide::causes::Cause;

pub(in crate::fleet) use containers::{HOOKS, unknown as unknown_containers};
pub(in crate::fleet) use selector::{HOST_MODEL, HOST_PASSTHROUGH, machine_type_label};

use super::fit::affinity::NodeAffinity;
use super::fit::pods::PodRules;
use super::model::{
    KubeVirt, Labels, Machine, Metadata, Migration, Node, Pod, Resources, Vm, Vmi, VmiSpec,
};

/// What decides on the node of a launcher pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetPod {
    /// The node on which the VM runs; `None` if it does not run.
    pub source: Option<String>,
    /// What the node has to be.
    pub rules: NodeRules,
    /// What the pod requests, with one of `pods`.
    pub requests: Resources,
    /// What it is to other pods, and they to it.
    pub pods: PodRules,
    /// What kube-scheduler looks at and berth does not: [`Cause::TopologySpreadNotJudged`],
    /// [`Cause::DynamicResourcesNotJudged`], [`Cause::OtherScheduler`], [`Cause::PriorityNotJudged`] and
    /// [`Cause::RuntimeClassNotJudged`], those that the VM or the KubeVirt CR gives reason for.
    pub not_judged: Vec<Cause>,
}

/// What a node has to be for a pod. Many VMs have equal ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeRules {
    /// Labels that the node has to have.
    pub selector: Labels,
    /// The required node affinity of the VM.
    pub affinity: Option<NodeAffinity>,
    /// Labels that the node must not have, whatever their value.
    pub forbidden: BTreeSet<String>,
    /// The taints that the pod tolerates.
    pub tolerations: Vec<Toleration>,
}

impl Eq for NodeRules {}

impl Hash for NodeRules {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.selector.hash(state);
        self.affinity.hash(state);
        self.forbidden.hash(state);
    }
}

impl TargetPod {
    /// The target pod of a migration of a VMI that runs. What is `None` was not found: without the
    /// source pod, the requests are computed from the VMI, and the CPU of a host-model guest is that of
    /// its node; without the source node, host-model labels and the CPU vendor are left out.
    #[must_use]
    pub fn of_migration(
        vmi: &Vmi,
        source_pod: Option<&Pod>,
        source_node: Option<&Node>,
        kubevirt: Option<&KubeVirt>,
        migration: Option<&Migration>,
    ) -> Self {
        let cpu = vmi.spec.domain.cpu.as_ref();
        let model = cpu.and_then(|cpu| cpu.model.as_deref()).unwrap_or_default();
        let hints = vmi.status.topology_hints.as_ref();
        let tsc_frequency = hints.and_then(|hints| hints.tsc_frequency);

        let added = migration.map(|migration| &migration.spec.added_node_selector);
        let mut selector = added.cloned().unwrap_or_default();
        selector.extend(selector::of_launcher(
            &vmi.spec,
            model,
            vmi.machine_type(),
            tsc_frequency,
            kubevirt,
        ));
        if model == selector::HOST_MODEL {
            selector.extend(host_model_labels(source_pod, source_node));
        }
        let vendor = source_node.and_then(|node| labelled(&node.labels, labels::CPU_VENDOR).next());
        let is_vendor_kept = version::keeps_cpu_vendor(version::version(kubevirt))
            && labelled(&selector, labels::CPU_VENDOR).next().is_none();
        if let Some((label, _)) = vendor.filter(|_| is_vendor_kept) {
            selector.insert(label.clone(), "true".to_owned());
        }

        let memory = vmi.status.memory.as_ref();
        let overhead = memory.and_then(|memory| memory.memory_overhead.as_ref());
        let annotations = &vmi.metadata.annotations;
        let computed = requests::of_launcher(&vmi.spec, annotations, overhead, kubevirt);
        Self {
            source: vmi.status.node_name.clone(),
            rules: rules(&vmi.spec, model, selector),
            requests: source_pod.map_or_else(
                || computed.clone(),
                |pod| requests::grown(&pod.requests, &computed, vmi),
            ),
            pods: pods_of_migration(vmi, source_pod),
            not_judged: not_judged(&vmi.spec, kubevirt),
        }
    }

    /// The launcher pod of a VM that does not run, by its template. The time-stamp counter's frequency
    /// that KubeVirt chooses at the start is not among its rules, and an instance type or a preference
    /// is not read.
    #[must_use]
    pub fn of_launch(vm: &Vm, kubevirt: Option<&KubeVirt>) -> Self {
        let spec = &vm.spec.template.spec;
        let cpu = spec.domain.cpu.as_ref();
        let own = cpu.and_then(|cpu| cpu.model.as_deref());
        let default =
            kubevirt.and_then(|kubevirt| kubevirt.spec.configuration.cpu_model.as_deref());
        let mut models = [own, default].into_iter().flatten();
        let model = models.find(|model| !model.is_empty());
        let model = model.unwrap_or(selector::HOST_MODEL);

        let machine_type = spec.domain.machine.as_ref().and_then(Machine::name);
        let selector = selector::of_launcher(spec, model, machine_type, None, kubevirt);
        Self {
            source: None,
            rules: rules(spec, model, selector),
            requests: requests::of_launcher(
                spec,
                &vm.spec.template.metadata.annotations,
                None,
                kubevirt,
            ),
            pods: PodRules::new(
                &vm.metadata.namespace,
                pod_labels(&vm.metadata.name, &vm.spec.template.metadata.labels),
                spec.affinity.as_ref(),
            ),
            not_judged: not_judged(spec, kubevirt),
        }
    }
}

/// What the target pod is to other pods. What KubeVirt adds for a LUN with reservations, of which no two
/// pods may be on a node, is the same as on the source pod (`setPersistentReservationAntiAffinity`).
fn pods_of_migration(vmi: &Vmi, source_pod: Option<&Pod>) -> PodRules {
    let Metadata {
        name,
        namespace,
        uid,
        labels: own,
        ..
    } = &vmi.metadata;
    // The source pod has labels that are computed, and those of reservations.
    let of_source = source_pod.map(|pod| pod.labels.clone());
    let mut labels = of_source.unwrap_or_else(|| pod_labels(name, own));
    labels.extend(own.clone());
    labels.insert(labels::CREATED_BY.to_owned(), uid.clone());
    // Its value is not known before there is a migration.
    labels.entry(labels::MIGRATION.to_owned()).or_default();
    let mut rules = PodRules::new(namespace, labels, vmi.spec.affinity.as_ref());
    let is_of_reservation = |term: &&PodAffinityTerm| {
        let selector = term.label_selector.as_ref();
        let expressions = selector.and_then(|selector| selector.match_expressions.as_ref());
        let mut expressions = expressions.into_iter().flatten();
        expressions.any(|expression| expression.key.starts_with(labels::RESERVATION))
    };
    let terms = source_pod.iter().flat_map(|pod| &pod.repels);
    rules.far.extend(terms.filter(is_of_reservation).cloned());
    rules
}

/// The labels of a launcher pod: those of its VMI, and those that virt-controller adds (`podLabels`). The
/// UID of the VMI is not known before there is one.
fn pod_labels(name: &str, own: &Labels) -> Labels {
    let mut labels = own.clone();
    labels.insert("kubevirt.io".to_owned(), "virt-launcher".to_owned());
    labels.insert("vm.kubevirt.io/name".to_owned(), name.to_owned());
    labels
}

/// The labels with this prefix.
fn labelled<'a>(
    labels: &'a Labels,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    labels
        .iter()
        .filter(move |(key, _)| key.starts_with(prefix))
}

/// The labels by which a host-model guest keeps its CPU. A guest that has migrated has them in the
/// selector of its pod; one that has not gets them from its node. A required CPU feature in the
/// selector is taken for a migration too: virt-controller does so.
fn host_model_labels(source_pod: Option<&Pod>, source_node: Option<&Node>) -> Labels {
    let launcher = source_pod.and_then(|pod| pod.launcher.as_ref());
    let kept: Labels = launcher
        .into_iter()
        .flat_map(|launcher| &launcher.node_selector)
        .filter(|(key, _)| {
            key.contains(labels::CPU_FEATURE) || key.contains(labels::CPU_MODEL_MIGRATION)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !kept.is_empty() {
        return kept;
    }
    let Some(node) = source_node else {
        return Labels::new();
    };
    // virt-controller makes no target pod without it.
    let Some((model, value)) = labelled(&node.labels, labels::HOST_CPU_MODEL).last() else {
        return Labels::new();
    };
    let moved = |label: &str, from: &str, to: &str| label.replacen(from, to, 1);
    let features = labelled(&node.labels, labels::HOST_CPU_FEATURE).map(|(label, value)| {
        let label = moved(label, labels::HOST_CPU_FEATURE, labels::CPU_FEATURE);
        (label, value.clone())
    });
    let model = moved(model, labels::HOST_CPU_MODEL, labels::CPU_MODEL_MIGRATION);
    features.chain([(model, value.clone())]).collect()
}

fn rules(spec: &VmiSpec, model: &str, selector: Labels) -> NodeRules {
    let mut forbidden = BTreeSet::new();
    if model.is_empty() || model == selector::HOST_MODEL {
        forbidden.insert(labels::OBSOLETE_HOST_MODEL.to_owned());
    }
    for feature in spec.domain.cpu.iter().flat_map(|cpu| &cpu.features) {
        if feature.policy.as_deref() == Some("forbid") {
            forbidden.insert(format!("{}{}", labels::CPU_FEATURE, feature.name));
        }
    }
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref());
    let affinity = affinity
        .and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .clone()
        })
        .map(NodeAffinity::new)
        // KubeVirt adds the forbidden labels to each term. An empty term, which matches no node,
        // becomes one that matches every node without them.
        .filter(|affinity| forbidden.is_empty() || !affinity.has_empty_term());
    NodeRules {
        selector,
        affinity,
        forbidden,
        tolerations: tolerations(&spec.tolerations),
    }
}

const NO_EXECUTE: &str = "NoExecute";

/// The tolerations of the VM and those that kube-apiserver adds to every pod: for nodes that are not
/// ready or not reachable, for a while (`plugin/pkg/admission/defaulttolerationseconds`).
fn tolerations(own: &[Toleration]) -> Vec<Toleration> {
    let mut tolerations = own.to_vec();
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let is_any_or = |text: &Option<String>, this: &str| {
            text.as_deref()
                .is_none_or(|text| text.is_empty() || text == this)
        };
        let has_own = own.iter().any(|toleration| {
            is_any_or(&toleration.key, key) && is_any_or(&toleration.effect, NO_EXECUTE)
        });
        if !has_own {
            tolerations.push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some(NO_EXECUTE.to_owned()),
                ..Toleration::default()
            });
        }
    }
    tolerations
}

fn not_judged(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> Vec<Cause> {
    let is_set = |name: Option<&String>| name.is_some_and(|name| !name.is_empty());
    let configuration = kubevirt.map(|cr| &cr.spec.configuration);
    let runtime_class = configuration.and_then(|cr| cr.default_runtime_class.as_ref());
    let has_other_scheduler = spec
        .scheduler_name
        .as_deref()
        .is_some_and(|name| !matches!(name, "" | "default-scheduler"));
    let reasons = [
        (
            !spec.topology_spread_constraints.is_empty(),
            Cause::TopologySpreadNotJudged,
        ),
        (
            !spec.resource_claims.is_empty(),
            Cause::DynamicResourcesNotJudged,
        ),
        (has_other_scheduler, Cause::OtherScheduler),
        (
            is_set(spec.priority_class_name.as_ref()),
            Cause::PriorityNotJudged,
        ),
        (is_set(runtime_class), Cause::RuntimeClassNotJudged),
    ];
    reasons
        .into_iter()
        .filter_map(|(has, cause)| has.then_some(cause))
        .collect()
}

#[cfg(test)]
mod tests;
