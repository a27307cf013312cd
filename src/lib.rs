//! berth: a safe berth for every migrating VM. See ARCHITECTURE.md for the map.

pub mod cluster;
pub mod config;
pub mod decide;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod readiness;
pub mod wire;
