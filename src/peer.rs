//! The client of a connection: its address, and the routes that its certificate opens.

use std::net::SocketAddr;

/// The client of a connection. Each request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The source address, whose port tells its connections apart.
    pub address: SocketAddr,
    /// What the client's certificate opens.
    pub access: Access,
}

impl Default for Peer {
    /// For a router that is called without a listener, as tests do.
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            access: Access::default(),
        }
    }
}

/// What a client may call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `/mutate` and `/validate`.
    pub admission: Grant,
    /// `/scheduler/…`.
    pub extender: Grant,
}

/// Whether a client may call a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// It may: the route needs no certificate, or the client showed one of the route's CA.
    #[default]
    Granted,
    /// The route needs a certificate, and the client showed none.
    NoCertificate,
    /// The client's certificate is not one of the route's CA, or is not valid now.
    OtherCertificate,
}
