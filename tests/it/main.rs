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
mod admission_updates;
mod annotate;
#[path = "../apiserver/mod.rs"]
mod apiserver;
mod apiserver_stand_in;
mod apiserver_tls;
mod bad_input;
mod certificates;
mod certs;
mod change_waits;
mod check;
mod cli;
mod continuity;
mod continuity_properties;
mod docs;
mod drain;
mod end_to_end;
mod explain;
mod filter_captures;
mod fleet_captures;
mod hostile;
mod image;
mod index;
mod install;
mod leader_tasks;
mod lease;
mod live;
mod live_process;
mod load_once;
mod locality;
mod lookups;
mod managed_certificates;
mod manifests;
mod migration_admission;
mod node_conditions;
mod observe;
mod outputs;
mod overload;
mod ovn_kubernetes;
mod ovn_lab;
mod ovn_large;
mod ovn_properties;
mod ovn_southbound;
mod ovn_tls;
mod plugin;
mod preempt_captures;
mod preparing;
mod prioritize_captures;
mod process;
mod prometheus;
mod properties;
mod receivers;
mod report;
mod scheduler_config;
mod score_properties;
mod service;
mod snapshots;
mod southbound;
mod support;
mod tidy;
mod tools;
mod updates;
mod watches;
