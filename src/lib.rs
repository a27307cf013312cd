//! berth: a safe berth for every migrating VM. See ARCHITECTURE.md for the map.

pub mod api;
pub mod app;
pub mod args;
pub mod cluster;
pub mod config;
pub mod config_check;
pub mod decide;
pub mod demo;
pub mod domain;
pub mod escape;
pub mod facts;
pub mod http;
pub mod lease;
pub mod metrics;
pub mod ovn;
pub mod pki;
pub mod publish;
pub mod readiness;
pub mod scheduler_config;
pub mod server;
mod table;
pub mod telemetry;
pub mod text;
mod throttle;
pub mod tls;
pub mod wire;
mod yaml;
