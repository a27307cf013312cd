//! `berth report`: a fleet at one look, and what it would be if some nodes were others. It only reads.

pub mod text;

use std::collections::BTreeMap;
use std::io::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::args::fleet::Report;
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::output::{WriteError, write_plan, write_schema};
use crate::check::report::API_VERSION;
use crate::check::{self, CheckError};
use crate::cluster::object::ObjectKey;
use crate::fleet::Fleet;
use crate::fleet::assume::{AssumeError, Assumption, assume};
use crate::fleet::census::{Census, Scarce};
use crate::fleet::finding::{Finding, Found, Verdict};
use crate::fleet::judge::{Body, Judge};
use crate::fleet::versions::Versions;
use crate::layout::Layout;
use crate::snapshot::Snapshot;

/// A report, as it is printed as JSON and YAML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetReport<'a> {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `FleetReport`.
    pub kind: String,
    /// Which releases run.
    pub versions: Releases,
    /// What was found of the cluster as a whole: the known bugs of these releases, and what could not be
    /// read.
    pub cluster: Vec<Found<'a>>,
    /// The fleet as it is.
    #[serde(flatten)]
    pub census: Census<'a>,
    /// The fleet as it would be, where something is assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed: Option<Assumed<'a>>,
}

/// The fleet as it would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assumed<'a> {
    /// What is assumed.
    pub assumptions: Vec<String>,
    /// The VMs that would lose their last target.
    pub stranded: Vec<Scarce<'a>>,
    /// The fleet then.
    #[serde(flatten)]
    pub census: Census<'a>,
}

/// Which releases run in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Releases {
    /// The kubelets' versions, and how many nodes have each.
    pub kubernetes: BTreeMap<String, usize>,
    /// KubeVirt's, as its CR says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubevirt: Option<String>,
    /// Kube-OVN's; during an upgrade the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_ovn: Option<String>,
    /// OVN-Kubernetes'; during an upgrade the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ovn_kubernetes: Option<String>,
    /// OVN's, as its northd says in the southbound database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ovn: Option<String>,
    /// Where the database was not read, the oldest OVN that this Kube-OVN can have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ovn_at_least: Option<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The cluster can't be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The VMs that are asked for are not there.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// What is assumed can't be.
    #[error(transparent)]
    Assume(#[from] AssumeError),
    /// The report can't be written.
    #[error(transparent)]
    Output(#[from] WriteError),
}

/// Reports on a fleet, and gives the exit code.
///
/// # Errors
/// Nothing could be judged.
pub async fn run(args: &Report, layout: Layout, out: &mut dyn Write) -> Result<u8, ReportError> {
    if args.schema.is_asked {
        write_schema::<FleetReport<'static>>(out)?;
        return Ok(0);
    }
    let assumptions = args.assume.iter().map(|text| Assumption::parse(text));
    let assumptions = assumptions.collect::<Result<Vec<_>, _>>()?;
    let scope = match &args.namespace {
        Some(namespace) => Scope::Namespace(Some(namespace.clone())),
        None => Scope::All,
    };
    let cluster = Cluster::read(&args.fleet, scope).await?;
    let of_cluster = cluster.findings();
    let before = census(&cluster, &cluster.loaded.fleet, &cluster.snapshot, args)?;
    let changed = match assumptions.as_slice() {
        [] => None,
        assumptions => {
            let (fleet, snapshot) = (&cluster.loaded.fleet, &cluster.snapshot);
            Some(assume(fleet, snapshot, assumptions)?)
        }
    };
    let assumed = match &changed {
        None => None,
        Some((fleet, snapshot)) => {
            let census = census(&cluster, fleet, snapshot, args)?;
            Some(Assumed {
                assumptions: args.assume.clone(),
                stranded: census.stranded_since(&before),
                census,
            })
        }
    };
    let report = FleetReport {
        api_version: API_VERSION.to_owned(),
        kind: "FleetReport".to_owned(),
        versions: Releases::of(&cluster.loaded.fleet),
        cluster: of_cluster.iter().map(Found::from).collect(),
        census: before,
        assumed,
    };
    let namespace = args.namespace.as_deref();
    let is_asked = |key: &ObjectKey| namespace.is_none_or(|namespace| key.is_in(namespace));
    let is_unanswered = cluster.is_unanswered(is_asked);
    write_plan(&report, args.answer.output.format, out, || {
        text::table(&report, layout)
    })?;
    Ok(exit_code(&report, &of_cluster, args, is_unanswered))
}

/// The numbers of the VMs that are asked for, in the cluster as it is or as it is assumed.
fn census<'f>(
    cluster: &'f Cluster,
    fleet: &'f Fleet,
    snapshot: &'f Snapshot,
    args: &Report,
) -> Result<Census<'f>, CheckError> {
    let namespace = args.namespace.as_deref();
    let bodies: Vec<Body<'f>> = check::bodies(fleet, namespace)?;
    let mut judge = Judge::new(fleet, snapshot, &cluster.policy);
    let judgements = bodies.into_iter().map(|body| judge.judge(body));
    Ok(Census::of((fleet, snapshot, &cluster.policy), judgements))
}

impl Releases {
    /// The releases that can be told of a cluster.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let mut kubernetes = BTreeMap::new();
        for kubelet in fleet
            .nodes
            .values()
            .filter_map(|node| node.kubelet.as_ref())
        {
            *kubernetes.entry(kubelet.clone()).or_default() += 1;
        }
        let Versions {
            kubevirt,
            kube_ovn,
            ovn_kubernetes,
            ovn,
            is_ovn_derived,
        } = Versions::of(fleet);
        let [kubevirt, kube_ovn, ovn_kubernetes, ovn] =
            [kubevirt, kube_ovn, ovn_kubernetes, ovn].map(|release| Some(release?.to_string()));
        let (ovn, ovn_at_least) = if is_ovn_derived {
            (None, ovn)
        } else {
            (ovn, None)
        };
        Self {
            kubernetes,
            kubevirt,
            kube_ovn,
            ovn_kubernetes,
            ovn,
            ovn_at_least,
        }
    }
}

/// The exit code of the fleet as it is, or as it is assumed.
fn exit_code(
    report: &FleetReport<'_>,
    of_cluster: &[Finding<'_>],
    args: &Report,
    is_unanswered: bool,
) -> u8 {
    let assumed = report.assumed.as_ref().map(|assumed| &assumed.census);
    let summary = assumed.unwrap_or(&report.census).summary;
    let warns = summary.warning > 0 || Verdict::of(of_cluster) == Verdict::Warning;
    check::exit_code(summary, warns, args.answer.fail_on, is_unanswered)
}
