//! What one replica at a time does for all, and the lease that says which.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::names::ObjectName;
use crate::config::units::Span;

/// The lease of the replica that publishes node conditions and asks the chassis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Lease {
    /// Whether this replica takes part in leader election: `Auto` does so in a pod, but not with
    /// `--kubeconfig` or `--snapshot`; `Always`; `Never`.
    pub contend: Contend,
    /// The name of the Lease in berth's namespace. berth creates it if it is missing and if RBAC
    /// allows that.
    pub name: ObjectName,
    /// How long the other replicas wait for a leader that no longer renews the Lease, from 5s to
    /// 10m.
    pub duration: Span,
}

/// Whether a replica takes part in the lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Contend {
    /// In a pod of the cluster it does. With `--kubeconfig` and `--snapshot` it does not: those are for
    /// people who want to look.
    #[default]
    Auto,
    /// It does.
    Always,
    /// It does not: it publishes nothing and asks nobody.
    Never,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            contend: Contend::default(),
            name: ObjectName::berth(),
            duration: Span(Duration::from_secs(15)),
        }
    }
}

/// Longer, and what is published is too old to wait for.
const LONGEST_DEBOUNCE: Duration = Duration::from_mins(5);

/// A lease is renewed a few times before it ends.
const SHORTEST_LEASE: Duration = Duration::from_secs(5);

/// Nobody waits longer for a replica that is gone.
const LONGEST_LEASE: Duration = Duration::from_mins(10);

impl Lease {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let Span(duration) = self.duration;
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&duration) || duration.subsec_nanos() != 0 {
            return Err(Refusal::Combination(format!(
                "lease.duration: {} is not a whole number of seconds from 5s to 10m",
                self.duration
            )));
        }
        Ok(())
    }
}

/// The node condition `OVNChassisReady`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeCondition {
    /// Publish the verdict on each node's chassis as the condition `OVNChassisReady`. A change of
    /// this condition makes kube-scheduler retry the pods that it could not place.
    pub publish: bool,
    /// The minimum time between two changes of one node's condition. berth publishes the first
    /// change at once, and extends this time for a node whose condition changes often.
    pub debounce: Span,
    /// How many conditions berth writes per second on average. Bursts of twice as many are allowed.
    pub writes_per_second: u32,
}

impl Default for NodeCondition {
    fn default() -> Self {
        Self {
            publish: true,
            debounce: Span(Duration::from_secs(5)),
            writes_per_second: 10,
        }
    }
}

impl NodeCondition {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.debounce.0 > LONGEST_DEBOUNCE {
            return Err(Refusal::Combination(format!(
                "nodeCondition.debounce: {} is more than 5m",
                self.debounce
            )));
        }
        if self.writes_per_second == 0 {
            return Err(Refusal::Combination(
                "nodeCondition.writesPerSecond: 0 would write nothing; to publish nothing, set nodeCondition.publish to false".to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_can_not_be_kept_is_refused() {
        for (text, expect) in [
            (
                "lease: {duration: 4s}",
                "lease.duration: 4s is not a whole number of seconds from 5s to 10m",
            ),
            (
                "lease: {duration: 601s}",
                "lease.duration: 10m1s is not a whole number of seconds from 5s to 10m",
            ),
            (
                "lease: {duration: 5500ms}",
                "lease.duration: 5.5s is not a whole number of seconds from 5s to 10m",
            ),
            (
                "nodeCondition: {debounce: 6m}",
                "nodeCondition.debounce: 6m is more than 5m",
            ),
            (
                "nodeCondition: {writesPerSecond: 0}",
                "nodeCondition.writesPerSecond: 0 would write nothing; to publish nothing, set nodeCondition.publish to false",
            ),
        ] {
            let refusal = Config::parse(text).unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        }
        assert!(Config::parse("lease: {duration: 5s}").is_ok());
    }
}
