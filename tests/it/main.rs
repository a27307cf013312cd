//! Integration tests, one binary: a module is a thing that berth promises.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy.toml allows it in #[test] functions only"
)]
#![expect(clippy::float_cmp, reason = "counters and gauges are whole numbers")]
#![expect(clippy::similar_names, reason = "names and named, parsed and passed")]

mod admission_captures;
#[expect(dead_code, reason = "the tests that need the rest are being written")]
#[path = "../apiserver/mod.rs"]
mod apiserver;
mod apiserver_fidelity;
mod bad_input;
mod certificates;
mod certs;
mod cli;
mod filter_captures;
mod hostile;
mod index;
mod live;
mod live_process;
mod lookups;
mod manifests;
mod overload;
mod ovn_lab;
mod ovn_large;
mod ovn_model;
mod ovn_properties;
mod ovn_southbound;
mod ovn_tls;
mod process;
mod prometheus;
mod properties;
mod service;
mod snapshots;
mod support;
mod tidy;
mod tools;
mod watches;
