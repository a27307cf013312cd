//! TLS towards `ssl:` endpoints, as the caller configures it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;

type LoadError = Box<dyn Error + Send + Sync>;
type Load = dyn Fn() -> Result<Arc<ClientConfig>, LoadError> + Send + Sync;

/// Where the TLS configuration of each connection to an `ssl:` endpoint comes from.
///
/// The server's certificate is verified as the configuration says. Open vSwitch's own clients verify
/// the chain and ignore the host name; the default verifier of rustls verifies both.
#[derive(Clone)]
pub struct Tls(Arc<Load>);

impl Tls {
    /// The same configuration for every connection.
    #[must_use]
    pub fn fixed(config: Arc<ClientConfig>) -> Self {
        Self(Arc::new(move || Ok(Arc::clone(&config))))
    }

    /// A configuration that is loaded for each connection, so that a renewed certificate needs no
    /// restart. `load` may block: it runs on Tokio's threads for blocking work.
    pub fn reloading(
        load: impl Fn() -> Result<Arc<ClientConfig>, LoadError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(load))
    }

    pub(crate) fn load(&self) -> Result<Arc<ClientConfig>, LoadError> {
        (self.0)()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
