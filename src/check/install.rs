//! `berth check --install` and `--pre`: whether berth is in place in a cluster, and whether it could be. Nothing is
//! changed: what the API server is to create is a dry run.

mod before;
mod certificates;
mod cluster;
mod injection;
mod line;
mod metrics;
mod read;
mod replicas;
pub mod report;
pub mod rights;
mod scheduler;
mod selector;
mod text;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::api::{Cause, client};
use crate::args::fleet::{Check, FailOn};
use crate::check::CheckError;
use crate::check::cluster::{ClusterError, config};
use crate::check::output::write_report;
use crate::check::suppress::Suppressions;
use crate::decide::codes::Code;
use crate::layout::Layout;
use line::Line;
use read::Reader;
use report::InstallationReport;

/// How the manifests name berth's objects.
const NAME: &str = "berth";
const NAMESPACE: &str = "berth-system";
const SECRET: &str = "berth-tls";
const SECOND_SCHEDULER: &str = "berth-scheduler";

/// The labels of its pods.
const LABELS: [(&str, &str); 2] = [
    ("app.kubernetes.io/name", "berth"),
    ("app.kubernetes.io/component", "server"),
];

/// The address of the component `fixed-cluster-ip`.
const CLUSTER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 77));

/// Checks the installation, or what it needs.
///
/// # Errors
/// Nothing could be checked.
pub(super) async fn run(
    args: &Check,
    suppressed: &Suppressions<'_>,
    layout: Layout,
    out: &mut dyn Write,
) -> Result<u8, CheckError> {
    let mut lines = Box::pin(lines(args)).await?;
    lines.retain(|line| {
        let is_left_out = |code: Code| suppressed.leave_out_code(code.id(), None);
        !line.code.is_some_and(is_left_out)
    });
    let report = InstallationReport::new(lines);
    write_report(
        &report,
        args.answer.output.format,
        layout,
        out,
        |_| text::table(&report, layout),
        || text::short(&report),
    )?;
    Ok(exit_code(&report, args.answer.fail_on))
}

async fn lines(args: &Check) -> Result<Vec<Line>, ClusterError> {
    let fleet = &args.fleet.cluster;
    let mut config = config(fleet)?;
    let connected = client::choose(fleet.kubeconfig.as_deref(), fleet.context.as_deref()).await?;
    let namespace = args
        .scope
        .namespace
        .as_deref()
        .unwrap_or(NAMESPACE)
        .to_owned();
    let reader = Reader::new(connected.client, namespace);
    let (kubernetes, now) = reader.version().await;
    if let Err(fault) = &kubernetes
        && fault.cause != Cause::Forbidden
    {
        // What does not answer this answers nothing else.
        let fault = fault.clone();
        return Err(match fault.cause {
            Cause::Connection | Cause::Timeout => ClusterError::Unanswered(fault),
            _ => ClusterError::NoVersion(fault),
        });
    }
    let deployment = reader.deployment().await;
    if let Ok(Some(found)) = &deployment
        && fleet.network_provider.is_none()
        && let Some(provider) = replicas::provider(found)
    {
        config.network.provider = provider;
    }
    let (cluster, place) =
        tokio::join!(reader.cluster(kubernetes, config.network()), reader.place());
    let mut lines = cluster.judge();
    if args.installation.pre {
        let before = reader
            .before(args.installation.cluster_ip.unwrap_or(CLUSTER_IP))
            .await;
        lines.extend(before.judge());
        lines.extend(place.judge());
        return Ok(lines);
    }
    lines.extend(place.judge());
    if !matches!(deployment, Ok(Some(_))) {
        lines.extend(Box::pin(reader.installed(deployment)).await.judge());
        return Ok(lines);
    }
    let (installed, certificates, injection, scheduler, migrations) = tokio::join!(
        reader.installed(deployment),
        reader.certificates(now),
        reader.injection(),
        reader.scheduler(),
        reader.migrations(),
    );
    lines.extend(installed.judge());
    lines.extend(certificates.judge());
    lines.extend(injection.judge());
    lines.extend(scheduler::judge(
        &installed.replicas,
        &migrations,
        &scheduler,
        now.at,
    ));
    Ok(lines)
}

fn exit_code(report: &InstallationReport, fail_on: FailOn) -> u8 {
    let summary = report.summary;
    if summary.unchecked > 0 {
        3
    } else if summary.error > 0 {
        2
    } else {
        u8::from(summary.warning > 0 && fail_on == FailOn::Warning)
    }
}
