//! `berth explain vm/NAME`: the judgement of one VM, with every input.

mod text;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::args::Explain;
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::output::print_plan;
use crate::check::report::API_VERSION;
use crate::check::{CheckError, require_kind};
use crate::decide::checks::Check;
use crate::decide::codes::Code;
use crate::decide::policy::Policy;
use crate::decide::score::{Input, Inputs, Scale};
use crate::domain::Provider;
use crate::fleet::census::is_of_vm;
use crate::fleet::finding::{Finding, Found, message};
use crate::fleet::judge::{Body, ExplainedNode, Explanation, Judge, Kind};
use crate::fleet::migratable::live_migratable;
use crate::fleet::model::{Labels, Resources};
use crate::fleet::target::TargetPod;
use crate::layout::Layout;
use crate::report::Releases;
use crate::snapshot::Snapshot;

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The cluster can't be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A VM that was named is not there.
    #[error("there is no VM {0}; -n NAMESPACE selects another namespace")]
    NoVm(String),
    /// The VM is not of the kind that was named.
    #[error(transparent)]
    Kind(#[from] CheckError),
    /// What has to be known could not be read.
    #[error("no explanation without what could not be read: {0}")]
    Gap(String),
}

/// An explanation, as it is printed as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VmExplanation<'a> {
    /// `berth.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `VmExplanation`.
    pub kind: &'static str,
    /// The VM's namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// `ok`, `warning`, `blocked` or `unknown`.
    pub verdict: &'static str,
    /// The nodes that can take it.
    pub targets: &'a [&'a str],
    /// What was found of the VM and of the cluster as a whole.
    pub findings: Vec<Found<'a>>,
    /// The releases that run.
    pub versions: Releases,
    /// The VM as it runs.
    pub source: Source<'a>,
    /// The pod that a migration would make.
    pub target_pod: Target<'a>,
    /// berth's configuration, as far as it decides.
    pub configuration: Configuration,
    /// Every node.
    pub nodes: Vec<Node<'a>>,
}

/// The VM as it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source<'a> {
    /// Its node.
    pub node: Option<&'a str>,
    /// The node on which it starts, if it does not run yet.
    #[serde(skip)]
    pub starts_on: Option<&'a str>,
    /// Its launcher pod.
    pub pod: Option<&'a str>,
    /// The machine type that a node has to support.
    pub machine_type: Option<&'a str>,
    /// How many logical switches it has, where that is known.
    pub switches: usize,
    /// KubeVirt's condition on whether it migrates the VMI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_migratable: Option<LiveMigratable<'a>>,
}

/// KubeVirt's condition on whether it migrates a VMI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveMigratable<'a> {
    /// `True` or `False`.
    pub status: &'a str,
    /// Why not, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// The pod that a migration would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target<'a> {
    /// What it requests: milli-cores of `cpu`, bytes or pieces of everything else.
    pub requests: &'a Resources,
    /// The labels that its node has to have.
    pub selector: &'a Labels,
    /// The labels that its node must not have.
    pub forbidden: Vec<&'a str>,
    /// Its required node affinity.
    pub affinity: Option<String>,
    /// The taints that it tolerates, as `KEY=VALUE:EFFECT`.
    pub tolerations: Vec<String>,
}

/// berth's configuration, as far as it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The network provider.
    pub network_provider: &'static str,
    /// The checks of the filter that are made.
    pub checks: Vec<&'static str>,
    /// Those that are not: turned off, or this cluster does not have what they look at.
    pub checks_not_made: Vec<&'static str>,
    /// The weight of each input of a score.
    pub weights: BTreeMap<&'static str, u32>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it can take the VM.
    pub is_target: bool,
    /// What is against it.
    pub findings: Vec<Found<'a>>,
    /// Its score from 0 to 10; absent for a node that is not a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// What the score is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The input.
    #[serde(serialize_with = "as_name")]
    pub input: Input,
    /// What is known of the node: switches, migrations, milliseconds or seconds; `null` is not known.
    pub value: Option<u64>,
    /// Its weight.
    pub weight: u32,
    /// The thousandths of its weight that the node gets; all of them where nothing is known.
    pub thousandths: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn as_name<S: Serializer>(input: &Input, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(input.name())
}

/// Explains the judgement of a VM.
///
/// # Errors
/// The cluster can't be read, or the VM is not there.
pub async fn run(
    args: &Explain,
    kind: Kind,
    name: &str,
    layout: Layout,
) -> Result<String, ExplainError> {
    let scope = Scope::Namespace(args.namespace.clone());
    let cluster = Cluster::read(&args.fleet, scope).await?;
    let gaps = cluster.gaps();
    if !gaps.is_empty() {
        let gaps: Vec<String> = gaps.into_iter().map(|found| found.message).collect();
        return Err(ExplainError::Gap(gaps.join("; ")));
    }
    let namespace = &cluster.namespace;
    let fleet = &cluster.loaded.fleet;
    let is_named = |body: &Body<'_>| body.namespace() == namespace && body.name() == name;
    let body = Body::all(fleet).find(is_named);
    let body = body.ok_or_else(|| ExplainError::NoVm(format!("{namespace}/{name}")))?;
    require_kind(Some(kind), &[body], &cluster.loaded)?;
    let explanation = Judge::new(fleet, &cluster.snapshot, &cluster.policy).explain(body);
    let of_cluster = cluster.findings();
    let shown = shape(
        &explanation,
        &of_cluster,
        Releases::of(fleet),
        (&cluster.policy, &cluster.snapshot),
    );
    Ok(print_plan(&shown, args.output.format, || {
        text::text(&shown, layout)
    }))
}

fn shape<'a>(
    explanation: &'a Explanation<'a>,
    of_cluster: &'a [Finding<'a>],
    versions: Releases,
    (policy, snapshot): (&Policy, &Snapshot),
) -> VmExplanation<'a> {
    let Explanation {
        judgement,
        target,
        source_pod,
        machine_type,
        switches,
        nodes,
        scale,
    } = explanation;
    // What is against single nodes is shown with them.
    let of_vm = judgement.findings.iter().filter(|found| is_of_vm(found));
    VmExplanation {
        api_version: API_VERSION,
        kind: "VmExplanation",
        namespace: judgement.body.namespace(),
        name: judgement.body.name(),
        verdict: judgement.verdict.into(),
        targets: &judgement.targets,
        findings: of_vm.chain(of_cluster).map(Found::from).collect(),
        versions,
        source: Source {
            node: judgement.body.node(),
            starts_on: judgement.body.starts_on(),
            pod: source_pod.as_deref(),
            machine_type: machine_type.as_deref(),
            switches: *switches,
            live_migratable: condition_of(&judgement.body),
        },
        target_pod: target_of(target),
        configuration: configuration(policy, snapshot),
        nodes: nodes
            .iter()
            .map(|node| Node {
                name: node.name,
                is_target: judgement.targets.contains(&node.name),
                findings: against(node, machine_type.as_deref()),
                score: node.score,
                parts: node
                    .score
                    .map_or_else(Vec::new, |_| parts(&node.inputs, scale, policy)),
            })
            .collect(),
    }
}

fn condition_of<'a>(body: &Body<'a>) -> Option<LiveMigratable<'a>> {
    let condition = live_migratable(&body.vmi?.status)?;
    let text = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
    Some(LiveMigratable {
        status: &condition.status,
        reason: text(&condition.reason),
        message: text(&condition.message),
    })
}

fn target_of(target: &TargetPod) -> Target<'_> {
    let rules = &target.rules;
    let tolerations = rules.tolerations.iter().map(|toleration| {
        let key = toleration.key.as_deref().filter(|key| !key.is_empty());
        let value = toleration
            .value
            .as_deref()
            .filter(|value| !value.is_empty());
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        let effect = toleration
            .effect
            .as_deref()
            .filter(|effect| !effect.is_empty());
        format!("{}{value}:{}", key.unwrap_or("*"), effect.unwrap_or("*"))
    });
    Target {
        requests: &target.requests,
        selector: &rules.selector,
        forbidden: rules.forbidden.iter().map(String::as_str).collect(),
        affinity: rules.affinity.as_ref().map(ToString::to_string),
        tolerations: tolerations.collect(),
    }
}

fn configuration(policy: &Policy, snapshot: &Snapshot) -> Configuration {
    let active = policy.active_checks(snapshot.capabilities());
    let (made, not_made) = Check::ALL
        .into_iter()
        .partition::<Vec<_>, _>(|check| active.contains(*check));
    let codes = |checks: Vec<Check>| checks.into_iter().map(|check| check.row().code).collect();
    let weights = Input::ALL.iter();
    Configuration {
        network_provider: match policy.provider {
            Provider::KubeOvn => "KubeOVN",
            Provider::OvnKubernetes => "OVNKubernetes",
        },
        checks: codes(made),
        checks_not_made: codes(not_made),
        weights: weights
            .map(|input| (input.name(), policy.weights.of(*input)))
            .collect(),
    }
}

/// What is against a node, in berth's checks and kube-scheduler's.
fn against<'a>(node: &'a ExplainedNode<'a>, machine_type: Option<&str>) -> Vec<Found<'a>> {
    let failed = node.failed.iter().map(|(check, detail)| Finding {
        code: Code::Check(*check),
        message: message(&check.text(machine_type), detail),
        nodes: Vec::new(),
    });
    let misfits = node
        .misfits
        .iter()
        .map(|misfit| Finding::of(misfit.cause, &misfit.detail));
    failed
        .chain(misfits)
        .map(|found| Found::from(&found))
        .collect()
}

fn parts(inputs: &Inputs, scale: &Scale, policy: &Policy) -> Vec<Part> {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let parts = Input::ALL.iter().map(|input| Part {
        input: *input,
        value: match input {
            Input::Locality => inputs.local.map(count),
            Input::Arriving => inputs.arriving.map(count),
            Input::Response => inputs
                .response
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Input::Stability => inputs.steady.map(|time| time.as_secs()),
        },
        weight: policy.weights.of(*input),
        thousandths: scale.part(*input, inputs),
    });
    parts.collect()
}
