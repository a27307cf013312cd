//! The composition root: what `berth serve` is made of, in the order in which it starts and ends.

mod certificates;
mod cluster;
mod cluster_log;
mod continuity;
mod error;
mod leader_tasks;
mod listeners;
mod outside_pod;
mod resolve;
mod running;
pub(crate) mod southbound;

use std::env;
use std::ffi::OsString;
use std::path::Path;

use kube::Client;
use tokio::signal::unix::{SignalKind, signal};

pub use cluster::Cluster;
pub use error::AppError;
pub use running::Running;

use crate::api::{self, ClientError};
use crate::args::{Serve, environment};
use crate::cluster::file;
use crate::config::{Config, Renamed};
use crate::telemetry;

/// Runs `berth serve` until a signal ends it.
pub async fn serve(args: Serve) -> Result<(), AppError> {
    let (snapshot, kubeconfig) = (args.snapshot.clone(), args.kubeconfig.clone());
    let config = resolve::resolve(args)?;
    telemetry::init(&config.log).map_err(AppError::System)?;
    telemetry::log_panics();
    for Renamed { old, new } in &config.renamed {
        tracing::warn!("{old} is deprecated: use {new}");
    }
    for (name, hint) in environment::unknown_variables(env::vars_os().filter_map(utf8)) {
        tracing::warn!("{name} is not a variable of berth{hint}; see berth serve --help");
    }
    let cluster = match snapshot {
        Some(path) => Cluster::Snapshot(file::load(&path, &config.network())?),
        None => Cluster::Live(connect(&config, kubeconfig.as_deref()).await?),
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::System)?;

    let mut running = tokio::select! {
        started = Running::start(config, cluster) => started?,
        // There may be no certificate for a while, and then there is nothing to drain.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let name = tokio::select! {
        task = running.ended() => return Err(AppError::TaskEnded(task)),
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(
        signal = name,
        "shutting down: requests are taken until shutdown.delay is over"
    );
    tokio::select! {
        () = running.shut_down() => {}
        _ = terminate.recv() => tracing::warn!("second signal: requests in progress are cut"),
        _ = interrupt.recv() => tracing::warn!("second signal: requests in progress are cut"),
    }
    Ok(())
}

/// The way to the API server; outside a pod, what is written there is said first.
async fn connect(config: &Config, kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let api::Connected {
        client,
        url,
        namespace,
    } = api::connect(kubeconfig).await?;
    if kubeconfig.is_some() {
        outside_pod::announce_writes(config, &url, &namespace);
    }
    Ok(client)
}

fn utf8((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}
