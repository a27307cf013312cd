//! OVN's databases: the tables of the southbound database that say which chassis is really there, and
//! a probe that shows which of them still answer.
//!
//! The crate `ovsdb` follows the tables. [`chassis`] and [`locality`] are what the rows mean and
//! [`view`] is what others read of it. Only [`southbound`] and [`probe`] do I/O.

pub mod chassis;
pub mod connection;
mod lag;
pub mod locality;
pub mod probe;
pub mod southbound;
pub mod view;

pub use chassis::ChassisIndex;
pub use connection::ConnectionMetrics;
pub use locality::{Locality, LocalityIndex};
pub use probe::Probe;
pub use view::ChassisView;

use ovsdb::Tls;

use crate::tls::ClientFiles;

/// Reads the files for each connection, so that a renewed certificate needs no restart.
impl From<ClientFiles> for Tls {
    fn from(files: ClientFiles) -> Self {
        Self::reloading(move || Ok(files.load()?))
    }
}
