//! Integration tests, one binary: a module is a thing that berth promises.

mod admission_captures;
mod bad_input;
mod certs;
mod filter_captures;
mod properties;
mod snapshots;
mod support;
mod tools;
