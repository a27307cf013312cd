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

/// Makes the switch of each check, its default and its way to the set of checks from one line.
macro_rules! switches {
    ($($(#[$doc:meta])* $field:ident => $check:ident,)+) => {
        /// The checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        pub struct Checks {
            $($(#[$doc])* pub $field: bool,)+
        }

        impl Default for Checks {
            fn default() -> Self {
                Self { $($field: true,)+ }
            }
        }

        impl Checks {
            /// The checks that are on.
            #[must_use]
            pub fn set(&self) -> CheckSet {
                CheckSet::default()$(.with(Check::$check, self.$field))+
            }
        }
    };
}

switches! {
    /// Reject the node that the VM runs on.
    source => MigrationSource,
    /// Reject nodes that do not support the VM's machine type.
    machine_type => MachineType,
    /// Reject nodes that have no registered OVN chassis.
    chassis_registered => ChassisNotRegistered,
    /// Reject nodes whose chassis has another hostname or is claimed twice. Needs
    /// `southbound.endpoints`.
    chassis_identity => ChassisIdentity,
    /// Reject nodes whose chassis has no tunnel endpoint. Needs `southbound.endpoints`.
    chassis_tunnel => ChassisNoTunnel,
    /// Reject nodes whose network agents are missing or not ready.
    chassis_agents => AgentsNotReady,
    /// Reject nodes whose condition `NetworkUnavailable` is `True`.
    chassis_network => NetworkUnavailable,
    /// Reject nodes whose chassis lags behind the southbound database. Needs
    /// `southbound.endpoints`.
    chassis_responsive => ChassisNotResponding,
}
