//! Integration tests, one binary: a module is a thing that berth promises.

mod admission_captures;
mod bad_input;
mod certs;
mod cli;
mod filter_captures;
mod hostile;
mod manifests;
mod overload;
mod process;
mod prometheus;
mod properties;
mod snapshots;
mod support;
mod tidy;
mod tools;
