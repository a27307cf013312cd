//! The client against a real ovsdb-server, and properties of its parts.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on fails"
)]

mod examples;
mod model;
mod properties;
mod server;
mod transactions;
mod watching;
