//! End-to-end tests: berth with a real kube-apiserver and kube-scheduler. `make e2e` runs them.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a scenario fails by panicking, and a person reads how it went"
)]

mod api;
mod authority;
mod berth;
mod captures;
mod fleet;
mod http;
mod kubectl;
mod manifests;
#[path = "../it/ovn_lab.rs"]
#[expect(dead_code, reason = "the integration tests need more of it")]
mod ovn_lab;
mod plane;
mod process;
mod programs;
mod relay;
mod runner;
mod scenarios;
mod scheduler;
mod service;
mod shapes;
#[path = "../it/tools.rs"]
mod tools;
mod virt_controller;
mod vms;
mod wait;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::run(scenarios::ALL)
}
