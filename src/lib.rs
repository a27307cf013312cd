//! berth

pub mod server;
pub mod tls;
