//! Which checks a node has to pass, and for which pods.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::decide::checks::{Check, CheckSet};

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

impl Checks {
    /// The reasons for which a node may be rejected.
    #[must_use]
    pub fn reasons(&self) -> CheckSet {
        let Self {
            source,
            machine_type,
            chassis_registered,
            chassis_identity,
            chassis_tunnel,
            chassis_agents,
            chassis_network,
            chassis_responsive,
        } = *self;
        CheckSet::default()
            .with(Check::MigrationSource, source)
            .with(Check::MachineType, machine_type)
            .with(Check::ChassisNotRegistered, chassis_registered)
            .with(Check::ChassisIdentity, chassis_identity)
            .with(Check::ChassisNoTunnel, chassis_tunnel)
            .with(Check::AgentsNotReady, chassis_agents)
            .with(Check::NetworkUnavailable, chassis_network)
            .with(Check::ChassisNotResponding, chassis_responsive)
    }
}
