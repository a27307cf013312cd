//! What speaks against a node whoever wants to land there: the part of a verdict that is there before
//! anybody asks.

use crate::decide::reason::{Reason, Reasons};
use crate::domain::{Agents, NodeFacts, Provider};

/// The obstacles of one node for any VM, as far as the cluster's objects say, for a network by each
/// provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obstacles([Reasons; Provider::ALL.len()]);

impl Obstacles {
    /// Those of a node with these facts and agents.
    #[must_use]
    pub fn of(facts: &NodeFacts, agents: Agents) -> Self {
        let claims = facts.chassis.name().is_some();
        let reasons = Reasons::default()
            .with(Reason::ChassisNotRegistered, !claims)
            .with(Reason::NetworkUnavailable, facts.network_unavailable);
        Self(Provider::ALL.map(|provider| {
            let ready = agents.ready(provider);
            reasons.with(Reason::AgentsNotReady, !ready)
        }))
    }

    /// Those that there are where the network is by this provider.
    #[must_use]
    pub const fn by(self, provider: Provider) -> Reasons {
        self.0[provider as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentState::Ready;
    use crate::domain::ChassisClaim;

    #[test]
    fn they_are_what_the_facts_and_the_agents_of_the_provider_say() {
        use Reason::{AgentsNotReady, ChassisNotRegistered, NetworkUnavailable};
        let claims = NodeFacts {
            chassis: ChassisClaim::Registered("c".into()),
            ..NodeFacts::default()
        };
        let claims_nothing = NodeFacts::default();
        let unavailable = NodeFacts {
            network_unavailable: true,
            ..claims.clone()
        };
        let none = Agents::default();
        let kube_ovn = Agents {
            ovs: Ready,
            cni: Ready,
            ..none
        };
        let ovn_kubernetes = Agents {
            ovnkube_node: Ready,
            ..none
        };
        for (facts, agents, expect) in [
            (&claims, kube_ovn, [vec![], vec![AgentsNotReady]]),
            (&claims, ovn_kubernetes, [vec![AgentsNotReady], vec![]]),
            (
                &claims_nothing,
                kube_ovn,
                [
                    vec![ChassisNotRegistered],
                    vec![ChassisNotRegistered, AgentsNotReady],
                ],
            ),
            (
                &unavailable,
                none,
                [
                    vec![AgentsNotReady, NetworkUnavailable],
                    vec![AgentsNotReady, NetworkUnavailable],
                ],
            ),
        ] {
            let obstacles = Obstacles::of(facts, agents);
            let by = |provider| obstacles.by(provider).iter().collect::<Vec<_>>();
            let found = Provider::ALL.map(by);
            assert_eq!(found, expect, "{facts:?} {agents:?}");
        }
    }
}
