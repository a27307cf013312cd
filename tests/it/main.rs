//! Everything that is tested from outside the crate, in one binary that links once.

mod certs;
mod tools;
