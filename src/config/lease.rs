//! The lease by which the replicas elect a leader.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::names::ObjectName;
use crate::config::units::Span;

/// The lease of the leader, which publishes node conditions and probes the chassis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Lease {
    /// Whether this replica takes part in leader election: `Auto` does so in a pod, but not with
    /// `--kubeconfig` or `--snapshot`; `Always`; `Never`.
    pub leader_election: LeaderElection,
    /// The name of the Lease in berth's namespace. berth creates it if it is missing and if RBAC
    /// allows that.
    pub name: ObjectName,
    /// How long the other replicas wait for a leader that no longer renews the Lease, from 5s to
    /// 10m.
    pub duration: Span,
}

/// Whether a replica takes part in the lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum LeaderElection {
    /// In a pod of the cluster it does. With `--kubeconfig` and `--snapshot` it does not: those are for
    /// trials.
    #[default]
    Auto,
    /// It does.
    Always,
    /// It does not: it publishes no conditions and does not probe the chassis.
    Never,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            leader_election: LeaderElection::default(),
            name: ObjectName::berth(),
            duration: Span(Duration::from_secs(15)),
        }
    }
}

/// A lease is renewed a few times before it ends.
const SHORTEST_LEASE: Duration = Duration::from_secs(5);

/// A replica that is gone holds up the others for at most this long.
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

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn refuses_a_duration_that_can_not_be_kept() {
        for (duration, expect) in [("4s", "4s"), ("601s", "10m1s"), ("5500ms", "5.5s")] {
            let refusal = Config::parse(&format!("lease: {{duration: {duration}}}")).unwrap_err();
            assert_eq!(
                refusal.to_string(),
                format!("lease.duration: {expect} is not a whole number of seconds from 5s to 10m")
            );
        }
        assert!(Config::parse("lease: {duration: 5s}").is_ok());
    }
}
