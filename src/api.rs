//! The API server: the way to it, and what its errors mean.

pub mod client;
pub mod fault;
mod kubeconfig;

pub use client::{ClientError, Connected, choose, connect, connect_by};
pub use fault::{Cause, Fault, within};
