//! What berth writes with a kubeconfig: it needs an explicit setting, and is logged first.

use super::AppError;
use crate::config::{Config, LeaderElection, Managed};

/// Refuses to write to a cluster without an explicit setting.
pub(super) fn check_writes(managed: &Managed) -> Result<(), AppError> {
    match &managed.secret_name {
        Some(secret) if !managed.outside_pod => Err(AppError::WritesOutsidePod {
            secret: secret.to_string(),
            bundles: bundles(managed),
        }),
        _ => Ok(()),
    }
}

/// The webhook configurations that berth writes, as a message adds them.
fn bundles(managed: &Managed) -> String {
    let names: Vec<String> = managed
        .webhook_configurations
        .iter()
        .map(ToString::to_string)
        .collect();
    match &names[..] {
        [] => String::new(),
        names => format!(
            " and the caBundle of webhook configuration {}",
            names.join(", ")
        ),
    }
}

/// Logs what berth is about to write, and where.
pub(super) fn announce_writes(config: &Config, cluster: &str, namespace: &str) {
    let managed = &config.tls.managed;
    if let Some(secret) = &managed.secret_name {
        tracing::info!(
            cluster,
            "outside a pod: berth writes secret {namespace}/{secret}{} of this cluster",
            bundles(managed)
        );
    }
    if config.lease.leader_election != LeaderElection::Always {
        if config.southbound.probe.endpoints.is_some() {
            tracing::info!(
                "outside a pod: berth does not probe the chassis, because lease.leaderElection is not Always"
            );
        }
        return;
    }
    let lease = &config.lease.name;
    let conditions = if config.node_condition.publish {
        " and the condition OVNChassisReady of every node"
    } else {
        ""
    };
    tracing::info!(
        cluster,
        "outside a pod: with lease.leaderElection: Always berth writes lease {namespace}/{lease}{conditions} of this cluster"
    );
    if let Some(endpoints) = &config.southbound.probe.endpoints {
        tracing::info!(
            endpoints,
            "outside a pod: with lease.leaderElection: Always berth writes NB_Global.nb_cfg in OVN's northbound database"
        );
    }
}
