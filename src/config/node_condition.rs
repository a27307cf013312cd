//! The node condition `OVNChassisReady`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::units::Span;

/// Longer, and what is published is too old to wait for.
const LONGEST_DEBOUNCE: Duration = Duration::from_mins(5);

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
    fn refuses_what_is_too_late_or_writes_nothing() {
        for (text, expect) in [
            ("debounce: 6m", "nodeCondition.debounce: 6m is more than 5m"),
            (
                "writesPerSecond: 0",
                "nodeCondition.writesPerSecond: 0 would write nothing; to publish nothing, set nodeCondition.publish to false",
            ),
        ] {
            let refusal = Config::parse(&format!("nodeCondition: {{{text}}}")).unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        }
    }
}
