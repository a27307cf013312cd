//! The configuration file: its shape, its defaults, and what is refused.
//!
//! YAML with `apiVersion: berth.dev/v1alpha1` and `kind: BerthConfiguration`. Every field has a
//! default, so an empty file is valid; an unknown field or a bad value is refused with its path.

pub mod address;
mod agents;
mod continuity;
mod error;
mod guard;
mod lease;
mod limits;
mod log;
mod machine_type;
mod managed;
mod migrations;
mod names;
mod network;
mod node_condition;
mod notation;
mod reader;
mod renamed;
mod schema;
mod scoring;
mod shutdown;
mod southbound;
#[cfg(test)]
mod tests;
mod tls;
mod units;

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::decide::checks::Check;
use crate::decide::policy::Policy;
use crate::decide::score::Weights;
use crate::domain;
use crate::yaml;

pub use address::ListenAddress;
pub use agents::Agents;
pub use continuity::{Continuity, ContinuityMode};
pub use error::{ConfigError, Refusal};
pub use guard::{Checks, Guard};
pub use lease::{LeaderElection, Lease};
pub use limits::Limits;
pub use log::{Log, LogFormat, LogLevel};
pub use machine_type::MachineType;
pub use managed::Managed;
pub use migrations::Migrations;
pub use names::ObjectName;
pub use network::Network;
pub use node_condition::NodeCondition;
pub use notation::NotationError;
pub use renamed::Renamed;
pub use scoring::Scoring;
pub use shutdown::Shutdown;
pub use southbound::{OnStale, Probe, Southbound};
pub use tls::Tls;
pub use units::{Lifetime, Size, Span};

/// The version of every format of berth: its configuration, and what its commands print as JSON.
pub const API_VERSION: &str = "berth.dev/v1alpha1";

/// The default configuration with a comment on every field.
pub const DEFAULT: &str = include_str!("config/default.yaml");

/// The configuration of `berth serve`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "BerthConfiguration")]
pub struct Config {
    /// The version of the file format.
    pub api_version: ApiVersion,
    /// The kind of document.
    pub kind: Kind,
    /// The HTTPS address: `IP:PORT`, `localhost:PORT`, or `:PORT` for every IPv4 address of the
    /// host. kube-apiserver calls `/mutate` and `/validate` here, and kube-scheduler `/scheduler/…`.
    /// The default is `0.0.0.0:8443` in a pod and `127.0.0.1:8443` elsewhere.
    pub listen: Option<ListenAddress>,
    /// The plain HTTP address of `/livez`, `/readyz`, `/metrics` and `/migrations`. The default is
    /// `0.0.0.0:8080` in a pod and `127.0.0.1:8080` elsewhere.
    pub admin_listen: Option<ListenAddress>,
    /// Server certificates and client certificates.
    pub tls: Tls,
    /// Logging.
    pub log: Log,
    /// The network provider of the cluster.
    pub network: Network,
    /// Which checks run, and for which pods.
    pub guard: Guard,
    /// The creation of migrations.
    pub migrations: Migrations,
    /// The machine-type check.
    pub machine_type: MachineType,
    /// The check of the network agents.
    pub agents: Agents,
    /// OVN's southbound database.
    pub southbound: Southbound,
    /// The network of a migration.
    pub continuity: Continuity,
    /// The node condition `OVNChassisReady`.
    pub node_condition: NodeCondition,
    /// Leader election. One replica at a time publishes node conditions and probes the chassis.
    pub lease: Lease,
    /// How the extender ranks the nodes that pass: the weight of each score input, from 0 to 100.
    /// With the defaults, which add up to 10, a weight is the number of points that an input can
    /// contribute to the score.
    #[serde(deserialize_with = "Scoring::deserialize")]
    #[schemars(with = "Scoring")]
    pub scoring: Weights,
    /// Limits for requests and connections.
    pub limits: Limits,
    /// What happens after SIGTERM.
    pub shutdown: Shutdown,
    /// The fields that the file has under an old name.
    #[serde(skip)]
    pub renamed: Vec<Renamed>,
}

/// The only version there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// `berth.dev/v1alpha1`.
    #[default]
    #[serde(rename = "berth.dev/v1alpha1")]
    V1Alpha1,
}

/// The only kind there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Kind {
    /// `BerthConfiguration`.
    #[default]
    BerthConfiguration,
}

impl Config {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = yaml::read(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|source| ConfigError::Refused {
            path: path.to_owned(),
            source,
        })
    }

    /// Whether a text sets nothing: it is empty, or all of it is comments.
    #[must_use]
    pub fn is_empty(text: &str) -> bool {
        matches!(document(text), Ok(Value::Null))
    }

    /// Reads a configuration.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut value = document(text)?;
        match value {
            Value::Null | Value::Object(_) => {}
            Value::Array(_) => return Err(Refusal::NotAMap("a list")),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Refusal::NotAMap("a single value"));
            }
        }
        let renamed = renamed::rename(&mut value)?;
        let config = Self {
            renamed,
            ..reader::read(value)?
        };
        config.check()?;
        Ok(config)
    }

    /// Refuses values that are out of range or contradict each other.
    fn check(&self) -> Result<(), Refusal> {
        self.limits.check()?;
        for (field, path) in self.files() {
            if path.as_os_str().is_empty() {
                return Err(Refusal::Combination(format!(
                    "{field}: \"\" is not the path of a file; leave it out, or set it to null"
                )));
            }
        }
        self.tls.check()?;
        self.check_central()?;
        self.southbound.check()?;
        self.continuity.check()?;
        self.node_condition.check()?;
        self.lease.check()?;
        Scoring::check(&self.scoring)?;
        self.machine_type.check()?;
        self.agents.check()
    }

    /// The files that it names, each with its field.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let Tls {
            cert_file,
            key_file,
            client_ca_file,
            scheduler_client_ca_file,
            ..
        } = &self.tls;
        let southbound = &self.southbound;
        [
            ("tls.certFile", cert_file),
            ("tls.keyFile", key_file),
            ("tls.clientCAFile", client_ca_file),
            ("tls.schedulerClientCAFile", scheduler_client_ca_file),
            ("southbound.caFile", &southbound.ca_file),
            ("southbound.certFile", &southbound.cert_file),
            ("southbound.keyFile", &southbound.key_file),
        ]
        .into_iter()
        .filter_map(|(field, path)| Some((field, path.as_deref()?)))
        .collect()
    }

    /// Refuses values that contradict each other, after the flags are applied.
    pub fn check_whole(&self) -> Result<(), Refusal> {
        self.check_central()?;
        self.southbound.check_whole()?;
        let Southbound {
            endpoints, probe, ..
        } = &self.southbound;
        if self.continuity.mode == ContinuityMode::Prepare
            && (endpoints.is_none() || probe.endpoints.is_none())
        {
            return Err(Refusal::Combination(
                "continuity.mode: Prepare needs southbound.endpoints, --ovn-sb, and southbound.probe.endpoints, --ovn-nb"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Refuses the endpoints of a central database with a provider that has none.
    fn check_central(&self) -> Result<(), Refusal> {
        if self.network.provider.has_central_southbound() {
            return Ok(());
        }
        let asked = &self.southbound.probe.endpoints;
        for (name, endpoints) in [
            ("southbound.endpoints, --ovn-sb", &self.southbound.endpoints),
            ("southbound.probe.endpoints, --ovn-nb", asked),
        ] {
            if let Some(endpoints) = endpoints {
                return Err(Refusal::Combination(format!(
                    "{name}: {endpoints} can't be used with network.provider OVNKubernetes, where each node has databases of its own; leave it out"
                )));
            }
        }
        Ok(())
    }

    /// The network of the cluster, and where its agents are.
    #[must_use]
    pub fn network(&self) -> domain::Network {
        let network = domain::Network::from(self.network.provider);
        match &self.agents.namespace {
            Some(namespace) => domain::Network {
                agent_namespace: namespace.clone(),
                ..network
            },
            None => network,
        }
    }

    /// The checks in the guard's own terms.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            provider: self.network.provider,
            launches: self.guard.launches,
            checks: self.guard.checks.set().with(
                Check::SouthboundOutOfReach,
                self.southbound.on_stale == OnStale::Reject,
            ),
            when_unlabelled: self.machine_type.when_unlabelled,
            equivalents: self.machine_type.equivalents.clone(),
            when_unseen: self.agents.when_unseen,
            allowed_lag: self.southbound.allowed_lag.0,
            weights: self.scoring,
            migration_admission: self.migrations.admission,
        }
    }
}

/// The values of a document.
fn document(text: &str) -> Result<Value, Refusal> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Refusal::NotYaml(yaml::fault(text, &error)))
}
