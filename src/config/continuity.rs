//! The network of a migration: whether it is observed, whether it is prepared before the target pod is bound,
//! and within which limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::notation::notation;
use crate::config::units::Span;

/// The network of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Continuity {
    /// `Observe` keeps the timeline of each migration's network, and writes Events where it goes wrong.
    /// `Prepare` also prepares the network when kube-scheduler asks berth to bind the target pod, and
    /// writes to OVN's northbound database for it. `Off` does neither. In all of them pods are bound
    /// that kube-scheduler asks for, and the leader deletes what berth once wrote and no migration
    /// needs any more. Both need `southbound.endpoints` and `southbound.probe.endpoints`; without
    /// them, `Observe` does nothing.
    pub mode: ContinuityMode,
    /// Warm ports, by which a chassis has the flows of a VPC before the first VM lands there.
    pub warm: Warm,
}

/// What berth does for the network of a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContinuityMode {
    /// Migrations are not looked at.
    Off,
    /// Timelines are kept, and nothing is written to OVN.
    #[default]
    Observe,
    /// The target of a migration is bound once its network is prepared, and timelines are kept.
    Prepare,
}

notation!(
    ContinuityMode,
    "ContinuityMode",
    "a mode of continuity: use Off, Observe or Prepare",
    |text| match text {
        "Off" => Ok(Self::Off),
        "Observe" => Ok(Self::Observe),
        "Prepare" => Ok(Self::Prepare),
        _ => Err(text),
    },
    {"enum": ["Off", "Observe", "Prepare"]}
);

/// Warm ports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Warm {
    /// Warm ports that are needed within this time of the first are made in one transaction.
    pub coalesce: Span,
    /// The least time between two transactions. For each, ovn-northd computes all flows anew.
    pub min_interval: Span,
    /// The most warm ports that chassis may be at work on at once.
    pub max_concurrent: u32,
    /// How long the bind waits for the chassis, from 1s to 1m. After it the pod is bound at once.
    /// kube-scheduler's `httpTimeout` has to be 10 s longer.
    pub timeout: Span,
    /// For how long a warm port is kept after a migration last needed it, from 1m to 1d.
    pub keep: Span,
}

impl Default for Warm {
    fn default() -> Self {
        Self {
            coalesce: Span(Duration::from_millis(200)),
            min_interval: Span(Duration::from_secs(1)),
            max_concurrent: 4,
            timeout: Span(Duration::from_secs(20)),
            keep: Span(Duration::from_mins(10)),
        }
    }
}

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

impl Continuity {
    /// Refuses values that are out of range.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let Warm {
            coalesce,
            min_interval,
            max_concurrent,
            timeout,
            keep,
        } = &self.warm;
        let second = Duration::from_secs(1);
        let ranges: [(&str, &Span, RangeInclusive<Duration>, &str); 4] = [
            (
                "coalesce",
                coalesce,
                Duration::ZERO..=second * 5,
                "0s to 5s",
            ),
            (
                "minInterval",
                min_interval,
                Duration::from_millis(100)..=MINUTE,
                "100ms to 1m",
            ),
            ("timeout", timeout, second..=MINUTE, "1s to 1m"),
            ("keep", keep, MINUTE..=DAY, "1m to 1d"),
        ];
        for (field, span, range, words) in ranges {
            if !range.contains(&span.0) {
                return Err(Refusal::Combination(format!(
                    "continuity.warm.{field}: {span} is not from {words}"
                )));
            }
        }
        if keep.0 < timeout.0 * 2 {
            return Err(Refusal::Combination(format!(
                "continuity.warm.keep: {keep} is less than twice continuity.warm.timeout, {timeout}: a port could be deleted while a bind waits for it"
            )));
        }
        if *max_concurrent == 0 {
            return Err(Refusal::Combination(
                "continuity.warm.maxConcurrent: 0 would warm no chassis; it is at least 1"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_can_not_be_is_refused() {
        for (text, expect) in [
            (
                "{mode: prepare}",
                "continuity.mode: \"prepare\" is not a mode of continuity: use Off, Observe or Prepare",
            ),
            (
                "{warm: {coalesce: 6s}}",
                "continuity.warm.coalesce: 6s is not from 0s to 5s",
            ),
            (
                "{warm: {minInterval: 50ms}}",
                "continuity.warm.minInterval: 50ms is not from 100ms to 1m",
            ),
            (
                "{warm: {timeout: 2m}}",
                "continuity.warm.timeout: 2m is not from 1s to 1m",
            ),
            (
                "{warm: {keep: 30s}}",
                "continuity.warm.keep: 30s is not from 1m to 1d",
            ),
            (
                "{warm: {keep: 1m, timeout: 31s}}",
                "continuity.warm.keep: 1m is less than twice continuity.warm.timeout, 31s: a port could be deleted while a bind waits for it",
            ),
            (
                "{warm: {maxConcurrent: 0}}",
                "continuity.warm.maxConcurrent: 0 would warm no chassis; it is at least 1",
            ),
        ] {
            let refusal = Config::parse(&format!("continuity: {text}")).unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        }
        let alone = Config::parse("continuity: {mode: Prepare}").unwrap();
        assert_eq!(
            alone.check_whole().unwrap_err().to_string(),
            "continuity.mode: Prepare needs southbound.endpoints, --ovn-sb, and southbound.probe.endpoints, --ovn-nb"
        );
    }
}
