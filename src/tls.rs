//! TLS credentials: PEM files checked as a whole before they are served, and reloaded while serving.
//!
//! [`Source`] names the files or the Secret, [`Credentials`] is what they hold once checked, and
//! [`CertificateStore`] keeps the pair in use and replaces it when another comes.
//! [`ClientFiles`] is the same for where berth is the client.
//! Key material is never logged, shown in an error or printable with `Debug`.

mod algorithms;
mod client;
mod client_auth;
mod credentials;
mod error;
mod metrics;
mod name;
mod pem;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod warning;

pub use algorithms::{SIGNS, VERIFIES, explain};
pub use client::{ClientFiles, Identity};
pub use credentials::Credentials;
pub use error::{KeyKind, PemFault, PemPart, Place, Role, TlsError};
pub use metrics::Metrics;
pub use name::{HostName, NameError};
pub use source::{ClientCas, Material, PairSource, PemPair, Source};
pub(crate) use store::utc;
pub use store::{CertificateStore, ReloadOutcome};
pub use warning::TlsWarning;
