//! Where the two listeners listen, and what bounds their connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;

use super::AppError;
use crate::config::address::{ADMIN_PORT, HTTPS_PORT};
use crate::config::{Config, ListenAddress};
use crate::server::Limits;

/// Enough for the kubelet, a few Prometheus servers and manual requests.
pub(super) const ADMIN_CONNECTIONS: usize = 64;

/// Short, so that unused connections keep neither the kubelet out nor the process up.
pub(super) const ADMIN_PATIENCE: Duration = Duration::from_secs(2);

/// The addresses of the two listeners, and their reach where that is a default that may surprise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listeners {
    pub(super) https: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) reach: Option<&'static str>,
}

impl Listeners {
    /// In a pod the default is every address: a Service, the kubelet and Prometheus come from outside.
    /// Elsewhere it is loopback, so that a trial exposes no port to the network.
    pub(super) fn of(config: &Config, in_pod: bool) -> Self {
        let host = if in_pod {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        let at = |given: Option<ListenAddress>, port| {
            given.map_or_else(|| SocketAddr::from((host, port)), |given| given.0)
        };
        Self {
            https: at(config.listen, HTTPS_PORT),
            admin: at(config.admin_listen, ADMIN_PORT),
            reach: match (in_pod, config.listen, config.admin_listen) {
                (true, _, _) | (_, Some(_), Some(_)) => None,
                (_, None, None) => Some(
                    "this host alone, the default outside a pod; --listen and --admin-listen change it",
                ),
                (_, None, Some(_)) => Some(
                    "HTTPS from this host alone, the default outside a pod; --listen changes it",
                ),
                (_, Some(_), None) => Some(
                    "the admin port from this host alone, the default outside a pod; --admin-listen changes it",
                ),
            },
        }
    }
}

/// The kubelet sets this variable in every pod, and the way to the API server from inside one needs it.
pub(super) fn runs_in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty())
}

/// Binds an address, which `flag` sets; the address that was bound.
pub(super) async fn bind(
    flag: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), AppError> {
    let failed = |source| AppError::Bind {
        flag,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The limits of the HTTPS listener.
pub(super) fn https_limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        handshake_timeout: limits.handshake_timeout.0,
        header_timeout: limits.header_timeout.0,
        idle_timeout: limits.idle_timeout.0,
        drain_timeout: config.shutdown.timeout.0,
        max_connections: usize::try_from(limits.connections).unwrap_or(usize::MAX),
    }
}

/// The limits of the admin listener.
pub(super) const fn admin_limits() -> Limits {
    Limits {
        handshake_timeout: ADMIN_PATIENCE,
        header_timeout: ADMIN_PATIENCE,
        idle_timeout: ADMIN_PATIENCE,
        drain_timeout: ADMIN_PATIENCE,
        max_connections: ADMIN_CONNECTIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_default_to_loopback_outside_a_pod_and_to_every_address_in_one() {
        const BOTH: &str =
            "this host alone, the default outside a pod; --listen and --admin-listen change it";
        const HTTPS: &str =
            "HTTPS from this host alone, the default outside a pod; --listen changes it";
        const ADMIN: &str = "the admin port from this host alone, the default outside a pod; --admin-listen changes it";
        for (config, in_pod, https, admin, reach) in [
            ("", false, "127.0.0.1:8443", "127.0.0.1:8080", Some(BOTH)),
            ("", true, "0.0.0.0:8443", "0.0.0.0:8080", None),
            (
                "listen: 10.0.0.1:1",
                false,
                "10.0.0.1:1",
                "127.0.0.1:8080",
                Some(ADMIN),
            ),
            (
                "adminListen: 10.0.0.1:2",
                false,
                "127.0.0.1:8443",
                "10.0.0.1:2",
                Some(HTTPS),
            ),
            (
                "{listen: 0.0.0.0:1, adminListen: 0.0.0.0:2}",
                false,
                "0.0.0.0:1",
                "0.0.0.0:2",
                None,
            ),
            (
                "{listen: 127.0.0.1:9443, adminListen: 127.0.0.1:9444}",
                true,
                "127.0.0.1:9443",
                "127.0.0.1:9444",
                None,
            ),
        ] {
            let config_read = Config::parse(config).unwrap();
            let expect = Listeners {
                https: https.parse().unwrap(),
                admin: admin.parse().unwrap(),
                reach,
            };
            assert_eq!(Listeners::of(&config_read, in_pod), expect, "{config}");
        }
    }
}
