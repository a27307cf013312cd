//! The configuration file under the flags.

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
        continuity: mode,
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
    let Config {
        listen: https,
        admin_listen: admin,
        network,
        southbound,
        continuity,
        tls,
        log,
        ..
    } = &mut config;
    *https = listen.or(*https);
    *admin = admin_listen.or(*admin);
    network.provider = network_provider.unwrap_or(network.provider);
    set(&mut southbound.endpoints, ovn_sb);
    set(&mut southbound.probe.endpoints, ovn_nb);
    continuity.mode = mode.unwrap_or(continuity.mode);
    set(&mut tls.cert_file, tls_cert);
    set(&mut tls.key_file, tls_key);
    set(&mut tls.client_ca_file, client_ca);
    set(&mut tls.scheduler_client_ca_file, scheduler_client_ca);
    set(&mut tls.managed.secret_name, tls_secret);
    tls.managed.outside_pod |= manage_certificates;
    log.format = log_format.unwrap_or(log.format);
    if let Some(level) = log_level {
        log.level = level;
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

fn set<T>(field: &mut Option<T>, flag: Option<T>) {
    if flag.is_some() {
        *field = flag;
    }
}
