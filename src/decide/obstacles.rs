//! What speaks against a node whoever wants to land there: the part of a verdict that is there before
//! anybody asks.

use crate::decide::reason::{Reason, Reasons};
use crate::domain::{AgentSet, Agents, NodeFacts};

/// The obstacles of one node for any VM, as far as the cluster's objects say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obstacles {
    reasons: Reasons,
    unready: AgentSet,
}

impl Obstacles {
    /// Those of a node with these facts and agents.
    #[must_use]
    pub fn of(facts: &NodeFacts, agents: Agents) -> Self {
        let claims = facts.chassis.name().is_some();
        Self {
            reasons: Reasons::default()
                .with(Reason::ChassisNotRegistered, !claims)
                .with(Reason::NetworkUnavailable, facts.network_unavailable),
            unready: agents.unready(),
        }
    }

    /// Those that there are where a node needs these agents.
    #[must_use]
    pub const fn where_required(self, agents: AgentSet) -> Reasons {
        let lacks_one = self.unready.intersects(agents);
        self.reasons.with(Reason::AgentsNotReady, lacks_one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentState::{NotReady, Ready};
    use crate::domain::{Agent, ChassisClaim};

    #[test]
    fn obstacles_follow_from_the_facts_and_the_required_agents() {
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
        let half = Agents {
            ovs: NotReady,
            cni: Ready,
            ..none
        };
        let (both, ovs, cni) = (
            &[Agent::Ovs, Agent::Cni][..],
            &[Agent::Ovs][..],
            &[Agent::Cni][..],
        );
        for (facts, agents, required, expect) in [
            (&claims, none, &[][..], &[][..]),
            (&claims, none, both, &[AgentsNotReady]),
            (&claims, half, both, &[AgentsNotReady]),
            (&claims, half, ovs, &[AgentsNotReady]),
            (&claims, half, cni, &[]),
            (&claims, half, &[Agent::OvnkubeNode], &[AgentsNotReady]),
            (&claims_nothing, half, cni, &[ChassisNotRegistered]),
            (
                &claims_nothing,
                half,
                both,
                &[ChassisNotRegistered, AgentsNotReady],
            ),
            (
                &unavailable,
                none,
                both,
                &[AgentsNotReady, NetworkUnavailable],
            ),
        ] {
            let obstacles = Obstacles::of(facts, agents);
            let found = obstacles.where_required(required.iter().copied().collect());
            assert_eq!(
                found.iter().collect::<Vec<_>>(),
                expect,
                "{facts:?} {agents:?} {required:?}"
            );
        }
    }
}
