//! The configuration file: its shape, its defaults, and what is refused.
//!
//! YAML with `apiVersion: berth.dev/v1alpha1` and `kind: BerthConfiguration`. Every field has a
//! default, so an empty file is valid; an unknown field or a bad value is refused with its path.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::address::ListenAddress;
use crate::config::duties::{Lease, NodeCondition};
use crate::config::level::LogLevel;
use crate::config::log_format::LogFormat;
use crate::config::managed::Managed;
use crate::config::names::is_label;
use crate::config::network::Network;
use crate::config::scoring::Scoring;
use crate::config::southbound::Southbound;
use crate::config::units::{Size, Span};
use crate::decide::guard::{self, Policy};
use crate::decide::reason::{Reason, Reasons};
use crate::domain;
use crate::yaml;

pub mod address;
pub mod duties;
pub mod level;
pub mod log_format;
pub mod managed;
pub mod names;
pub mod network;
mod reader;
pub mod scoring;
pub mod southbound;
pub mod units;

/// The default configuration with a comment on every field.
pub const DEFAULT: &str = include_str!("config/default.yaml");

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("config {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file's contents are refused.
    #[error("config {path}: {source}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: Refusal,
    },
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not YAML.
    #[error("not YAML: {0}")]
    NotYaml(String),
    /// It is YAML, but a list or a single value.
    #[error(
        "{0} is not a BerthConfiguration: a map of fields is expected, as `berth config default` prints it"
    )]
    NotAMap(&'static str),
    /// A field is unknown, or its value is not of its type or out of its range.
    #[error("{path}: {message}")]
    Field {
        /// The way to the field.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// Two values that are good by themselves can't be had together.
    #[error("{0}")]
    Combination(String),
}

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
    /// host. kube-apiserver calls `/mutate` here, and kube-scheduler `/scheduler/…`. The default is
    /// `0.0.0.0:8443` in a pod and `127.0.0.1:8443` elsewhere.
    pub listen: Option<ListenAddress>,
    /// The plain HTTP address of `/livez`, `/readyz` and `/metrics`. The default is `0.0.0.0:8080`
    /// in a pod and `127.0.0.1:8080` elsewhere.
    pub admin_listen: Option<ListenAddress>,
    /// Server certificates and client certificates.
    pub tls: Tls,
    /// Logging.
    pub log: Log,
    /// The network provider of the cluster.
    pub network: Network,
    /// Which checks run, and for which pods.
    pub guard: Guard,
    /// The machine-type check.
    pub machine_type: MachineType,
    /// The check of the network agents.
    pub agents: Agents,
    /// OVN's southbound database.
    pub southbound: Southbound,
    /// The node condition `OVNChassisReady`.
    pub node_condition: NodeCondition,
    /// Leader election. One replica at a time publishes node conditions and probes the chassis.
    pub lease: Lease,
    /// How the extender ranks the nodes that pass: the weight of each score input, from 0 to 100.
    /// With the defaults, which add up to 10, a weight is the number of points that an input can
    /// contribute to the score.
    pub scoring: Scoring,
    /// Limits for requests and connections.
    pub limits: Limits,
    /// What happens after SIGTERM.
    pub shutdown: Shutdown,
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

/// Certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// PEM file with the server certificate and its chain.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the private key of the server certificate.
    pub key_file: Option<PathBuf>,
    /// PEM file with CAs. If set, every HTTPS client needs a certificate from one of these CAs. Do
    /// not use the cluster's own CA, which signs certificates for any name.
    #[serde(rename = "clientCAFile")]
    pub client_ca_file: Option<PathBuf>,
    /// PEM file with CAs. If set, clients of `/scheduler/…` need a certificate from one of these
    /// CAs: without a certificate they get 401, with a certificate from another CA 403. `/mutate`
    /// is not affected. Do not use the cluster's own CA.
    #[serde(rename = "schedulerClientCAFile")]
    pub scheduler_client_ca_file: Option<PathBuf>,
    /// How often berth checks the certificate files for changes.
    pub reload_interval: Span,
    /// Certificates that berth issues itself, in place of files.
    pub managed: Managed,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            client_ca_file: None,
            scheduler_client_ca_file: None,
            reload_interval: Span(Duration::from_secs(10)),
            managed: Managed::default(),
        }
    }
}

/// Logs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Log {
    /// The log format: `Human`, `JSON`, or `Auto`, which is `Human` on a terminal and `JSON`
    /// elsewhere. Case does not matter.
    pub format: LogFormat,
    /// The log level (`off`, `error`, `warn`, `info`, `debug` or `trace`), or a filter such as
    /// `info,berth::decision=debug`.
    pub level: LogLevel,
}

/// Which checks are made, and for which pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Guard {
    /// Apply the checks to the first launch of a VM as well, not only to migrations.
    pub launches: bool,
    /// The checks. Each can be turned off.
    pub checks: Checks,
}

/// The checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch a check is what the operator sees"
)]
pub struct Checks {
    /// Reject the node that the VM runs on.
    pub source: bool,
    /// Reject nodes that do not support the VM's machine type.
    pub machine_type: bool,
    /// Reject nodes that have no registered OVN chassis.
    pub chassis_registered: bool,
    /// Reject nodes whose chassis has another hostname or is claimed twice. Needs
    /// `southbound.endpoints`.
    pub chassis_identity: bool,
    /// Reject nodes whose chassis has no tunnel endpoint. Needs `southbound.endpoints`.
    pub chassis_tunnel: bool,
    /// Reject nodes whose network agents are missing or not ready.
    pub chassis_agents: bool,
    /// Reject nodes whose condition `NetworkUnavailable` is `True`.
    pub chassis_network: bool,
    /// Reject nodes whose chassis lags behind the southbound database. Needs
    /// `southbound.endpoints`.
    pub chassis_responsive: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            source: true,
            machine_type: true,
            chassis_registered: true,
            chassis_identity: true,
            chassis_tunnel: true,
            chassis_agents: true,
            chassis_network: true,
            chassis_responsive: true,
        }
    }
}

/// The machine-type check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MachineType {
    /// What happens to a node without any machine-type label: `Auto` passes it if no node in the
    /// cluster has such a label and rejects it otherwise, `Exclude` always rejects it, `Allow`
    /// always passes it. A label with a value other than `"true"` counts as a label, but the node
    /// does not support that type.
    pub when_unlabelled: WhenUnlabelled,
    /// For a machine type, other types whose node label also satisfies it, for example
    /// `{pc-q35-rhel9.2.0: [pc-q35-rhel9.2.1]}`.
    pub equivalents: BTreeMap<Box<str>, Vec<Box<str>>>,
}

/// Whether a node without any machine-type label passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum WhenUnlabelled {
    /// It passes where no node of the cluster is labelled, else it is rejected.
    #[default]
    Auto,
    /// It is rejected.
    Exclude,
    /// It passes.
    Allow,
}

/// The agents check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Agents {
    /// The namespace of the agents' `DaemonSets`. The default is the provider's own: `kube-system`
    /// for Kube-OVN, `ovn-kubernetes` for OVN-Kubernetes.
    pub namespace: Option<Box<str>>,
    /// What happens if the whole cluster has no pod of an agent: `Auto` does not require that
    /// agent, and turns the check off if this is true of all agents. `Exclude` requires it, and so
    /// rejects every node.
    pub when_unseen: WhenUnseen,
}

/// Whether nodes need an agent of which no pod is seen in the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum WhenUnseen {
    /// They don't. Where no pod of any agent is seen, the check is off.
    #[default]
    Auto,
    /// They do, and are rejected.
    Exclude,
}

/// What bounds a request and a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// The largest body of an admission review. A larger one gets 413.
    pub admission_body: Size,
    /// The largest body of an extender call. A larger one gets 413.
    pub extender_body: Size,
    /// How many bytes all admission requests and their responses may hold together. Beyond it a
    /// request gets 503. A single peer gets 429 earlier, so that it leaves room for others: one
    /// body can take at most a third of this limit. berth needs up to two and a half times these
    /// bytes: this limit and `extenderBodiesInFlight`, times two and a half, plus 64 MiB for a
    /// large cluster, have to fit into the memory of the container.
    pub admission_bodies_in_flight: Size,
    /// The same limit for extender calls.
    pub extender_bodies_in_flight: Size,
    /// How many admission reviews may be in progress at once. Beyond it a request gets 503. Peers
    /// share this limit as they share bytes.
    pub admission_requests: u32,
    /// The same limit for extender calls.
    pub extender_requests: u32,
    /// The lowest rate, in bytes per second, at which a body may arrive, measured over two seconds.
    /// A slower one gets 408.
    pub body_rate: Size,
    /// How many HTTPS connections may be open. To accept another one, berth closes the oldest idle
    /// connection of the peer that has the most.
    pub connections: u32,
    /// How long berth may take from the request header to a complete response, and again as long to
    /// send it. The `?timeout=` of an admission review applies if it is shorter.
    pub handler_timeout: Span,
    /// How many VMIs berth may look up per second at the API server because the watch has not
    /// delivered them yet. One address gets half of this; bursts of four times as many are allowed.
    pub lookups_per_second: u32,
    /// How long one such lookup may take.
    pub lookup_timeout: Span,
    /// How long the TLS handshake may take.
    pub handshake_timeout: Span,
    /// How long a request header may take, and the first byte on a new connection.
    pub header_timeout: Span,
    /// How long a connection may stay without a request, or without reading its response. It is
    /// longer than the 90 s after which Go clients close an idle connection, because a server that
    /// closes first may cut off a request.
    pub idle_timeout: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission_body: Size(8 << 20),
            extender_body: Size(42 << 20),
            admission_bodies_in_flight: Size(32 << 20),
            extender_bodies_in_flight: Size(128 << 20),
            admission_requests: 256,
            extender_requests: 64,
            body_rate: Size(64 << 10),
            connections: 2048,
            handler_timeout: Span(Duration::from_secs(10)),
            lookups_per_second: 50,
            lookup_timeout: Span(Duration::from_secs(1)),
            handshake_timeout: Span(Duration::from_secs(10)),
            header_timeout: Span(Duration::from_secs(10)),
            idle_timeout: Span(Duration::from_mins(2)),
        }
    }
}

/// What happens on SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Shutdown {
    /// How long berth accepts requests after `/readyz` starts to fail.
    pub delay: Span,
    /// How long requests in progress may take after that.
    pub timeout: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Span(Duration::from_secs(5)),
            timeout: Span(Duration::from_secs(20)),
        }
    }
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
        let value = document(text)?;
        match value {
            Value::Null | Value::Object(_) => {}
            Value::Array(_) => return Err(Refusal::NotAMap("a list")),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Refusal::NotAMap("a single value"));
            }
        }
        let config: Self = reader::read(value).map_err(|error| Refusal::Field {
            path: error.path(),
            message: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses what can't be had together.
    fn check(&self) -> Result<(), Refusal> {
        let Limits {
            admission_body,
            extender_body,
            admission_bodies_in_flight,
            extender_bodies_in_flight,
            admission_requests,
            extender_requests,
            connections,
            lookups_per_second,
            ..
        } = &self.limits;
        for (caller, body, in_flight) in [
            ("admission", admission_body, admission_bodies_in_flight),
            ("extender", extender_body, extender_bodies_in_flight),
        ] {
            // As much as one connection may hold.
            if body.bytes().saturating_mul(3) > in_flight.bytes() {
                return Err(Refusal::Combination(format!(
                    "limits.{caller}Body: {body} is more than a third of limits.{caller}BodiesInFlight, {in_flight}, which is what one connection may hold: no such body could be read"
                )));
            }
        }
        for (name, count) in [
            ("limits.admissionRequests", *admission_requests),
            ("limits.extenderRequests", *extender_requests),
            ("limits.connections", *connections),
            ("limits.lookupsPerSecond", *lookups_per_second),
        ] {
            if count == 0 {
                return Err(Refusal::Combination(format!(
                    "{name}: 0 would refuse everything; it is at least 1"
                )));
            }
        }
        for (field, path) in self.files() {
            if path.as_os_str().is_empty() {
                return Err(Refusal::Combination(format!(
                    "{field}: \"\" is not the path of a file; leave it out, or set it to null"
                )));
            }
        }
        pair(
            "tls",
            self.tls.cert_file.as_deref(),
            self.tls.key_file.as_deref(),
        )?;
        if let (Some(file), Some(secret)) = (&self.tls.cert_file, &self.tls.managed.secret_name) {
            return Err(Refusal::Combination(format!(
                "tls.certFile: {} is set, and tls.managed.secretName, {secret}, is too: set one of them",
                file.display()
            )));
        }
        self.tls.managed.check()?;
        self.check_central()?;
        self.southbound.check()?;
        self.node_condition.check()?;
        self.lease.check()?;
        self.scoring.check()?;
        for (wanted, others) in &self.machine_type.equivalents {
            if others.is_empty() {
                return Err(Refusal::Combination(format!(
                    "machineType.equivalents.{wanted}: [] names no machine type; list those whose label satisfies {wanted} as well, or leave it out"
                )));
            }
        }
        if let Some(namespace) = self.agents.namespace.as_deref()
            && !is_label(namespace)
        {
            return Err(Refusal::Combination(format!(
                "agents.namespace: {namespace:?} is not the name of a namespace: use lower-case letters, digits and '-', beginning and ending with a letter or digit, up to 63 characters"
            )));
        }
        Ok(())
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

    /// Refuses what can't be had together once the flags are in it.
    pub fn check_whole(&self) -> Result<(), Refusal> {
        self.check_central()?;
        self.southbound.check_whole()
    }

    /// Refuses a central database where there is none.
    fn check_central(&self) -> Result<(), Refusal> {
        if domain::Provider::from(self.network.provider).has_central_southbound() {
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
        let network = domain::Network::from(domain::Provider::from(self.network.provider));
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
        let Guard { launches, checks } = &self.guard;
        let Checks {
            source,
            machine_type,
            chassis_registered,
            chassis_identity,
            chassis_tunnel,
            chassis_agents,
            chassis_network,
            chassis_responsive,
        } = *checks;
        Policy {
            provider: self.network.provider.into(),
            launches: *launches,
            checks: Reasons::default()
                .with(Reason::MigrationSource, source)
                .with(Reason::MachineType, machine_type)
                .with(Reason::ChassisNotRegistered, chassis_registered)
                .with(Reason::ChassisIdentity, chassis_identity)
                .with(Reason::ChassisNoTunnel, chassis_tunnel)
                .with(Reason::AgentsNotReady, chassis_agents)
                .with(Reason::NetworkUnavailable, chassis_network)
                .with(Reason::ChassisNotResponding, chassis_responsive),
            when_unlabelled: match self.machine_type.when_unlabelled {
                WhenUnlabelled::Auto => guard::WhenUnlabelled::Auto,
                WhenUnlabelled::Exclude => guard::WhenUnlabelled::Exclude,
                WhenUnlabelled::Allow => guard::WhenUnlabelled::Allow,
            },
            equivalents: self.machine_type.equivalents.clone(),
            when_unseen: match self.agents.when_unseen {
                WhenUnseen::Auto => guard::WhenUnseen::Auto,
                WhenUnseen::Exclude => guard::WhenUnseen::Exclude,
            },
            allowed_lag: self.southbound.allowed_lag.0,
            weights: self.scoring.weights(),
        }
    }

    /// The JSON Schema of the file.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        let mut schema = schemars::schema_for!(Self);
        if let Some(Value::Object(types)) = schema.get_mut("$defs") {
            types.values_mut().for_each(allow_null);
        }
        if let Some(fields) = schema.get_mut("properties") {
            allow_null_in(fields);
        }
        schema
    }
}

/// Lets each field of a type be null, which counts as left out.
fn allow_null(schema: &mut Value) {
    if let Some(fields) = schema.get_mut("properties") {
        allow_null_in(fields);
    }
}

fn allow_null_in(fields: &mut Value) {
    let fields = fields.as_object_mut().into_iter().flatten();
    for (_, field) in fields {
        let Value::Object(field) = field else {
            continue;
        };
        if let Some(reference) = field.remove("$ref") {
            let either = json!([{ "$ref": reference }, { "type": "null" }]);
            field.insert("anyOf".to_owned(), either);
        } else if let Some(kind @ Value::String(_)) = field.get_mut("type") {
            *kind = json!([kind, "null"]);
        }
    }
}

/// The values of a document.
fn document(text: &str) -> Result<Value, Refusal> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Refusal::NotYaml(yaml::fault(text, &error)))
}

/// Refuses a certificate without its key, and a key without its certificate.
fn pair(section: &str, cert: Option<&Path>, key: Option<&Path>) -> Result<(), Refusal> {
    let (set, path, missing) = match (cert, key) {
        (Some(cert), None) => ("certFile", cert, "keyFile"),
        (None, Some(key)) => ("keyFile", key, "certFile"),
        _ => return Ok(()),
    };
    Err(Refusal::Combination(format!(
        "{section}.{missing}: is not set, and {section}.{set}, {}, needs it",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::score::Weights;

    #[track_caller]
    fn check_error(text: &str, expect: &str) {
        assert_eq!(
            Config::parse(text).unwrap_err().to_string(),
            expect,
            "{text}"
        );
    }

    #[test]
    fn an_empty_file_is_the_default() {
        for text in [
            "",
            "# nothing\n",
            "{}",
            "apiVersion: berth.dev/v1alpha1\nkind: BerthConfiguration\n",
        ] {
            assert_eq!(Config::parse(text).unwrap(), Config::default(), "{text}");
        }
    }

    #[test]
    fn the_printed_default_is_the_default_and_names_every_field() {
        assert_eq!(Config::parse(DEFAULT).unwrap(), Config::default());
        let schema = serde_json::to_value(Config::schema()).unwrap();
        let mut fields = Vec::new();
        collect_fields(&schema, &mut fields);
        assert!(fields.len() > 30);
        for field in fields {
            assert!(
                DEFAULT.contains(&format!("{field}:")),
                "{field} is not in default.yaml"
            );
        }
    }

    #[test]
    fn every_field_may_be_null_in_the_schema_as_in_the_file() {
        let schema = serde_json::to_value(Config::schema()).unwrap();
        let types = schema["$defs"].as_object().unwrap().values();
        let mut fields = 0;
        for (name, field) in types
            .chain([&schema])
            .filter_map(|kind| kind["properties"].as_object())
            .flatten()
        {
            let null = json!("null");
            let is_null = |one: &Value| one["type"] == null;
            let by_type = field["type"]
                .as_array()
                .is_some_and(|all| all.contains(&null));
            let by_choice = field["anyOf"]
                .as_array()
                .is_some_and(|all| all.iter().any(is_null));
            assert!(by_type || by_choice, "{name}: {field}");
            fields += 1;
        }
        assert!(fields > 30);
    }

    fn collect_fields(schema: &serde_json::Value, fields: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    if let ("properties", Some(properties)) = (key.as_str(), value.as_object()) {
                        fields.extend(properties.keys().cloned());
                    }
                    collect_fields(value, fields);
                }
            }
            serde_json::Value::Array(items) => {
                for item in items {
                    collect_fields(item, fields);
                }
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_lines, reason = "one table")]
    #[test]
    fn what_is_refused_is_named_by_path_value_and_expected_form() {
        for (text, expect) in [
            (
                "lunches: true",
                "lunches: unknown field; the fields here are apiVersion, kind, listen, adminListen, tls, log, network, guard, machineType, agents, southbound, nodeCondition, lease, scoring, limits, shutdown",
            ),
            (
                "guard: {lunches: true}",
                "guard.lunches: unknown field (did you mean launches?); the fields here are launches, checks",
            ),
            (
                "guard: {lunches: null}",
                "guard.lunches: unknown field (did you mean launches?); the fields here are launches, checks",
            ),
            (
                "log: {FORMAT: Human}",
                "log.FORMAT: unknown field (did you mean format?); the fields here are format, level",
            ),
            (
                "a b: 1",
                "a b: unknown field; the fields here are apiVersion, kind, listen, adminListen, tls, log, network, guard, machineType, agents, southbound, nodeCondition, lease, scoring, limits, shutdown",
            ),
            (
                "apiVersion: berth.dev/v1",
                "apiVersion: \"berth.dev/v1\" is not berth.dev/v1alpha1",
            ),
            ("kind: Pod", "kind: \"Pod\" is not BerthConfiguration"),
            ("kind: 7", "kind: 7 is not BerthConfiguration"),
            (
                "listen: here",
                "listen: \"here\" is not an address to listen on: use IP:PORT, such as 127.0.0.1:8443 or [::]:8443, localhost:PORT, or :PORT for every IPv4 address of the host",
            ),
            (
                "adminListen: 8080",
                "adminListen: 8080 is not an address to listen on: use IP:PORT, such as 127.0.0.1:8443 or [::]:8443, localhost:PORT, or :PORT for every IPv4 address of the host",
            ),
            (
                "machineType: {whenUnlabelled: Sometimes}",
                "machineType.whenUnlabelled: \"Sometimes\" is not one of Auto, Exclude, Allow",
            ),
            (
                "machineType: {whenUnlabelled: allow}",
                "machineType.whenUnlabelled: \"allow\" is not one of Auto, Exclude, Allow (did you mean Allow?)",
            ),
            (
                "machineType: {whenUnlabelled: true}",
                "machineType.whenUnlabelled: true is not one of Auto, Exclude, Allow",
            ),
            (
                "agents: {whenUnseen: [Auto]}",
                "agents.whenUnseen: a list is not one of Auto, Exclude",
            ),
            (
                "guard: {checks: {source: maybe}}",
                "guard.checks.source: \"maybe\" is not true or false",
            ),
            (
                "guard: {checks: {source: yes}}",
                "guard.checks.source: \"yes\" is not true or false",
            ),
            ("guard: true", "guard: true is not a map of fields"),
            ("guard: [launches]", "guard: a list is not a map of fields"),
            (
                "tls: {certFile: 7}",
                "tls.certFile: 7 is not the path of a file",
            ),
            (
                "tls: {certFile: '', keyFile: /b}",
                "tls.certFile: \"\" is not the path of a file; leave it out, or set it to null",
            ),
            (
                "tls: {managed: {extraNames: berth}}",
                "tls.managed.extraNames: \"berth\" is not a list",
            ),
            (
                "log: {level: loud}",
                "log.level: \"loud\" is not a level: use off, error, warn, info, debug or trace, or a filter such as info,berth::decision=debug",
            ),
            (
                "log: {format: text}",
                "log.format: \"text\" is not a log format: use auto, human or json",
            ),
            (
                "limits: {handlerTimeout: 10}",
                "limits.handlerTimeout: 10 is not a duration above zero and up to 24h, such as 10s or 1m30s",
            ),
            (
                "limits: {handlerTimeout: soon}",
                "limits.handlerTimeout: \"soon\" is not a duration above zero and up to 24h, such as 10s or 1m30s",
            ),
            (
                "limits: {handlerTimeout: -1s}",
                "limits.handlerTimeout: \"-1s\" is not a duration above zero and up to 24h, such as 10s or 1m30s",
            ),
            (
                "limits: {handlerTimeout: 0s}",
                "limits.handlerTimeout: \"0s\" is not a duration above zero and up to 24h, such as 10s or 1m30s",
            ),
            (
                "limits: {admissionBody: much}",
                "limits.admissionBody: \"much\" is not a size above zero in bytes, such as 1048576, 8Mi or 1Gi",
            ),
            (
                "limits: {admissionBody: 0}",
                "limits.admissionBody: 0 is not a size above zero in bytes, such as 1048576, 8Mi or 1Gi",
            ),
            (
                "limits: {admissionBody: 2Gi}",
                "limits.admissionBody: 2Gi is more than a third of limits.admissionBodiesInFlight, 32Mi, which is what one connection may hold: no such body could be read",
            ),
            (
                "limits: {connections: 0}",
                "limits.connections: 0 would refuse everything; it is at least 1",
            ),
            (
                "limits: {connections: -1}",
                "limits.connections: -1 is not a whole number from 0 to 4294967295",
            ),
            (
                "limits: {connections: 1.5}",
                "limits.connections: 1.5 is not a whole number from 0 to 4294967295",
            ),
            (
                "limits: {connections: many}",
                "limits.connections: \"many\" is not a whole number from 0 to 4294967295",
            ),
            (
                "limits: {connections: 4294967296}",
                "limits.connections: 4294967296 is not a whole number from 0 to 4294967295",
            ),
            (
                "tls: {certFile: /a}",
                "tls.keyFile: is not set, and tls.certFile, /a, needs it",
            ),
            (
                "tls: {keyFile: /a}",
                "tls.certFile: is not set, and tls.keyFile, /a, needs it",
            ),
            (
                "tls: {certFile: /a, keyFile: /b, managed: {secretName: berth-tls}}",
                "tls.certFile: /a is set, and tls.managed.secretName, berth-tls, is too: set one of them",
            ),
            (
                "machineType: {equivalents: {q35: []}}",
                "machineType.equivalents.q35: [] names no machine type; list those whose label satisfies q35 as well, or leave it out",
            ),
            (
                "machineType: {equivalents: {q35: a}}",
                "machineType.equivalents.q35: \"a\" is not a list",
            ),
            (
                "machineType: {equivalents: {q35: [1]}}",
                "machineType.equivalents.q35[0]: 1 is not a text",
            ),
            (
                "agents: {namespace: \"\"}",
                "agents.namespace: \"\" is not the name of a namespace: use lower-case letters, digits and '-', beginning and ending with a letter or digit, up to 63 characters",
            ),
            (
                "agents: {namespace: kube_system}",
                "agents.namespace: \"kube_system\" is not the name of a namespace: use lower-case letters, digits and '-', beginning and ending with a letter or digit, up to 63 characters",
            ),
            (
                "- a",
                "a list is not a BerthConfiguration: a map of fields is expected, as `berth config default` prints it",
            ),
            (
                "hello",
                "a single value is not a BerthConfiguration: a map of fields is expected, as `berth config default` prints it",
            ),
            (
                "a: [",
                "not YAML: line 1, column 4: check indentation, quotes, brackets and colons there and just before",
            ),
            (
                "limits:\n\tconnections: 1\n",
                "not YAML: line 2, column 2: a tab is in the indentation, where YAML takes spaces alone",
            ),
            (
                "guard:\n  launches: true\n launches: true\n",
                "not YAML: line 3, column 2: check indentation, quotes, brackets and colons there and just before",
            ),
            (
                "listen: \"127.0.0.1:1\n",
                "not YAML: line 2, column 1: check indentation, quotes, brackets and colons there and just before",
            ),
            (
                "guard: {}\nguard: {}\n",
                "not YAML: line 2, column 1: the key \"guard\" is there twice",
            ),
            (
                "guard: {}\n---\nguard: {}\n",
                "not YAML: line 3, column 1: a second document begins, and one is expected",
            ),
            (
                "guard: *base\n",
                "not YAML: line 1, column 8: an alias (*NAME) has no anchor (&NAME) before it",
            ),
        ] {
            check_error(text, expect);
        }
    }

    #[test]
    fn a_field_that_is_null_counts_as_left_out() {
        for text in [
            "guard:\n  # launches: true\n",
            "limits: {connections: null, handlerTimeout: ~}",
            "machineType: {equivalents: }",
            "{listen: null, tls: {managed: null}}",
        ] {
            assert_eq!(Config::parse(text).unwrap(), Config::default(), "{text}");
        }
    }

    #[test]
    fn every_check_reaches_the_guard() {
        let text = "network: {provider: OVNKubernetes}\nguard: {launches: true, checks: {source: false, machineType: false, chassisRegistered: false, chassisIdentity: false, chassisTunnel: false, chassisAgents: false, chassisNetwork: false, chassisResponsive: false}}\nmachineType: {whenUnlabelled: Allow, equivalents: {a: [b]}}\nagents: {whenUnseen: Exclude}\n";
        assert_eq!(
            Config::parse(text).unwrap().policy(),
            Policy {
                provider: domain::Provider::OvnKubernetes,
                launches: true,
                checks: Reasons::default(),
                when_unlabelled: guard::WhenUnlabelled::Allow,
                equivalents: [("a".into(), vec!["b".into()])].into(),
                when_unseen: guard::WhenUnseen::Exclude,
                allowed_lag: guard::ALLOWED_LAG,
                weights: Weights::default(),
            }
        );
        assert_eq!(Config::default().policy(), Policy::default());
    }
}
