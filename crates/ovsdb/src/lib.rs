//! An OVSDB client (RFC 7047, with the extensions of ovsdb-server): [`follow`] keeps a copy of tables
//! over reconnects, and a [`Transactor`] sends a [`Transaction`]. The README has an example of each.
//!
//! From the wire inwards: [`endpoint`] says where a server is, [`frame`] and [`rpc`] make messages of
//! bytes, [`session`] is the conversation about followed tables, [`schema`], [`atom`] and [`value`] are
//! the types of what is in them and [`table_cache`] keeps it, within the limit that [`budget`] counts. None of
//! these does I/O. [`client`] and [`transactor`] do.

pub mod atom;
pub mod budget;
pub mod client;
mod connection;
pub mod endpoint;
pub mod error;
pub mod frame;
mod json;
pub mod rpc;
pub mod schema;
pub mod server_status;
pub mod session;
pub mod table_cache;
pub mod tls;
pub mod transact_reply;
pub mod transaction;
pub mod transactor;
pub mod uuid;
pub mod value;

pub use atom::Atom;
pub use client::{ClientEvent, ClientOptions, follow};
pub use endpoint::{Endpoint, Endpoints};
pub use error::{Error, ErrorKind};
pub use schema::{Missing, MonitorColumns, MonitorPlan, MonitorSpec, Schema};
pub use table_cache::{Change, Row, TableCache, UpdateFormat};
pub use tls::Tls;
pub use transact_reply::{OperationError, SelectedRow, TransactReply};
pub use transaction::{Condition, Function, Mutation, Mutator, Transaction, Until};
pub use transactor::{TransactError, Transactor};
pub use uuid::Uuid;
pub use value::Datum;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
