//! `berth version`: the version of berth and, if it is asked for, what a cluster runs and which known bugs
//! that has.

use serde::Serialize;

use crate::args::exit;
use crate::args::fleet::Version;
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::output::{Answer, print_plan};
use crate::check::report::API_VERSION;
use crate::check::text;
use crate::fleet::advise;
use crate::fleet::finding::Found;
use crate::fleet::kind::Kind;
use crate::fleet::versions::Versions;
use crate::layout::{Layout, columns, put};
use crate::report::Releases;

/// The versions, as they are printed as JSON and YAML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionReport<'a> {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `VersionReport`.
    pub kind: String,
    /// berth's own.
    pub berth: String,
    /// Those of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterVersions<'a>>,
}

/// What a cluster runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterVersions<'a> {
    /// The releases.
    #[serde(flatten)]
    pub releases: Releases,
    /// The known bugs of these releases, also those that concern some VMs alone, and what could not be read.
    pub findings: Vec<Found<'a>>,
}

/// The versions; the exit code is 3 where none of the cluster is known.
///
/// # Errors
/// The cluster can't be read.
pub async fn run(args: &Version, layout: Layout) -> Result<Answer, ClusterError> {
    let named = &args.fleet.cluster;
    let is_named =
        named.snapshot.is_some() || named.kubeconfig.is_some() || named.context.is_some();
    let cluster = if args.cluster || is_named {
        Some(Cluster::read(&args.fleet, Scope::All).await?)
    } else {
        None
    };
    let findings = cluster.as_ref().map(|cluster| {
        let mut findings =
            cluster.unread(|kind| matches!(kind, Kind::Node | Kind::Pod | Kind::KubeVirt));
        findings.extend(cluster.unknown_releases());
        findings.extend(advise::of_releases(&Versions::of(&cluster.loaded.fleet)));
        findings
    });
    let report = VersionReport {
        api_version: API_VERSION.to_owned(),
        kind: "VersionReport".to_owned(),
        berth: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: cluster.as_ref().map(|cluster| ClusterVersions {
            releases: Releases::of(&cluster.loaded.fleet),
            findings: findings.iter().flatten().map(Found::from).collect(),
        }),
    };
    let is_unknown = report.cluster.as_ref().is_some_and(knows_none);
    Ok(Answer {
        text: print_plan(&report, args.output.format, || text(&report, layout)),
        code: if is_unknown { exit::WRONG } else { 0 },
    })
}

/// Whether no release of a cluster is known.
fn knows_none(cluster: &ClusterVersions<'_>) -> bool {
    cluster.releases == Releases::default()
}

fn text(report: &VersionReport<'_>, layout: Layout) -> String {
    let mut out = format!("berth {}\n", report.berth);
    if let Some(cluster) = &report.cluster {
        let rows = crate::report::text::releases(&cluster.releases);
        if !rows.is_empty() {
            put(&mut out, format_args!("\n{}", columns(&[], rows, None)));
        }
        if !cluster.findings.is_empty() {
            out.push('\n');
        }
        for found in &cluster.findings {
            text::line(found, layout, &mut out);
        }
        if knows_none(cluster) {
            out.push('\n');
            let findings = [(cluster.findings.as_slice(), false)];
            text::remedies(findings.into_iter(), layout, &mut out);
        }
    }
    out
}
