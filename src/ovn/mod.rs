//! OVN's databases: a replica of the southbound tables that say which chassis is really there, kept
//! by an OVSDB client, and a probe that shows which of them still answer.
//!
//! From the wire inwards: [`endpoint`] and [`client`] are the connection, [`frame`] and [`rpc`] make
//! messages of its bytes, [`session`] is the conversation, [`schema`], [`value`] and [`replica`] are
//! the tables, which [`budget`] bounds, [`chassis`] and [`locality`] are what they mean and [`view`] is what others read of it.
//! Only [`client`], [`southbound`] and [`probe`] do I/O.

pub mod budget;
pub mod chassis;
pub mod client;
mod connection;
pub mod endpoint;
pub mod fault;
pub mod frame;
mod json;
mod lag;
pub mod locality;
pub mod probe;
pub mod replica;
pub mod rpc;
pub mod schema;
pub mod server;
pub mod session;
pub mod southbound;
pub mod stats;
pub mod value;
pub mod view;

pub use chassis::ChassisIndex;
pub use client::Settings;
pub use endpoint::Endpoints;
pub use fault::{Cause, Fault};
pub use locality::{Locality, LocalityIndex};
pub use probe::Probe;
pub use stats::ClientStats;
pub use view::ChassisView;
