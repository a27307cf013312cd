//! The configuration file under the flags.

use std::path::PathBuf;

use super::AppError;
use super::outside_pod;
use crate::args::Serve;
use crate::config::{Config, LeaderElection};

/// The configuration file under the flags.
pub(super) fn resolve(args: Serve) -> Result<Config, AppError> {
    let Serve {
        config,
        kubeconfig,
        snapshot,
        listen,
        admin_listen,
        network_provider,
        ovn_sb,
        ovn_nb,
        tls_cert,
        tls_key,
        tls_secret,
        manage_certificates,
        client_ca,
        scheduler_client_ca,
        log_format,
        log_level,
    } = args;
    let mut config = match config {
        Some(path) => Config::load(&path)?,
        None => Config::default(),
    };
    config.listen = listen.or(config.listen);
    config.admin_listen = admin_listen.or(config.admin_listen);
    if let Some(provider) = network_provider {
        config.network.provider = provider;
    }
    if ovn_sb.is_some() {
        config.southbound.endpoints = ovn_sb;
    }
    if ovn_nb.is_some() {
        config.southbound.probe.endpoints = ovn_nb;
    }
    override_path(&mut config.tls.cert_file, tls_cert);
    override_path(&mut config.tls.key_file, tls_key);
    override_path(&mut config.tls.client_ca_file, client_ca);
    override_path(
        &mut config.tls.scheduler_client_ca_file,
        scheduler_client_ca,
    );
    if tls_secret.is_some() {
        config.tls.managed.secret_name = tls_secret;
    }
    config.tls.managed.outside_pod |= manage_certificates;
    if let Some(format) = log_format {
        config.log.format = format;
    }
    if let Some(level) = log_level {
        config.log.level = level;
    }
    if config.lease.leader_election == LeaderElection::Auto
        && (kubeconfig.is_some() || snapshot.is_some())
    {
        config.lease.leader_election = LeaderElection::Never;
    }
    config.check_whole().map_err(AppError::Refused)?;
    if kubeconfig.is_some() {
        outside_pod::check_writes(&config.tls.managed)?;
    }
    Ok(config)
}

fn override_path(path: &mut Option<PathBuf>, flag: Option<PathBuf>) {
    if flag.is_some() {
        *path = flag;
    }
}
