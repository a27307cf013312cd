//! What the tests of the decisions share.

use std::time::Duration;

use crate::decide::policy::ClusterCapabilities;
use crate::domain::{AgentSet, ChassisIdentity, ChassisRow};

/// A cluster that has the facts for every check.
pub(super) const CLUSTER: ClusterCapabilities = ClusterCapabilities {
    machine_types_seen: true,
    agents_seen: AgentSet::ALL,
    southbound_configured: true,
    southbound_counts: true,
    lag_reported: true,
};

/// A chassis with everything in order.
pub(super) const GOOD: ChassisRow = ChassisRow {
    identity: ChassisIdentity::Own,
    has_tunnel: true,
    behind: None,
    is_held: false,
    seen_for: Duration::MAX,
};
