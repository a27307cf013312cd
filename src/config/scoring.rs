//! How much each input of a score counts.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::config::Refusal;
use crate::decide::score::{Input, Weights};

/// How the nodes that pass are told apart: the weight of each input of a score, from 0 to 100, beside
/// the others.
#[derive(Deserialize, JsonSchema)]
#[serde(
    remote = "Weights",
    default = "Weights::default",
    deny_unknown_fields,
    rename_all = "camelCase"
)]
pub struct Scoring {
    /// The weight of nodes where the VM's logical switches are already in use. Needs
    /// `southbound.endpoints`. With 0, berth does not read the ports of the database.
    #[serde(deserialize_with = "weight")]
    #[schemars(range(max = 100))]
    pub locality: u32,
    /// The weight of nodes with few incoming migrations.
    #[serde(deserialize_with = "weight")]
    #[schemars(range(max = 100))]
    pub arriving: u32,
    /// The weight of nodes whose chassis responds quickly. Needs `southbound.endpoints`.
    #[serde(deserialize_with = "weight")]
    #[schemars(range(max = 100))]
    pub response: u32,
    /// The weight of nodes whose chassis has not flapped. Needs `southbound.endpoints`.
    #[serde(deserialize_with = "weight")]
    #[schemars(range(max = 100))]
    pub stability: u32,
}

/// A larger weight would make no difference.
const MOST: u32 = 100;

/// Reads a weight.
fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    struct Weight;

    impl Visitor<'_> for Weight {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from 0 to {MOST}")
        }

        fn visit_u64<E: Error>(self, weight: u64) -> Result<u32, E> {
            match u32::try_from(weight) {
                Ok(weight) if weight <= MOST => Ok(weight),
                _ => Err(E::invalid_value(Unexpected::Unsigned(weight), &self)),
            }
        }
    }

    deserializer.deserialize_u32(Weight)
}

impl Scoring {
    /// Refuses what no score can be made of.
    pub fn check(weights: &Weights) -> Result<(), Refusal> {
        if Input::ALL.iter().all(|input| weights.of(*input) == 0) {
            return Err(Refusal::Combination(
                "scoring: every weight is 0, and no node could be told from another; to have no scores, leave prioritizeVerb out of kube-scheduler's configuration"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_weight_is_taken_as_it_is_and_the_others_keep_their_defaults() {
        let config = Config::parse("scoring: {arriving: 100, stability: 0}").unwrap();
        let expect = Weights {
            locality: 6,
            arriving: 100,
            response: 1,
            stability: 0,
        };
        assert_eq!(config.policy().weights, expect);
        assert_eq!(Config::default().policy().weights, Weights::default());
    }

    #[test]
    fn what_no_score_can_be_made_of_is_refused() {
        for (text, expect) in [
            (
                "{locality: 101}",
                "scoring.locality: 101 is not a whole number from 0 to 100",
            ),
            (
                "{locality: 4294967296}",
                "scoring.locality: 4294967296 is not a whole number from 0 to 100",
            ),
            (
                "{locality: -1}",
                "scoring.locality: -1 is not a whole number from 0 to 100",
            ),
            (
                "{arriving: 0.5}",
                "scoring.arriving: 0.5 is not a whole number from 0 to 100",
            ),
            (
                "{response: high}",
                "scoring.response: \"high\" is not a whole number from 0 to 100",
            ),
            (
                "{flaps: 1}",
                "scoring.flaps: unknown field; the fields here are locality, arriving, response, stability",
            ),
            (
                "{locality: 0, arriving: 0, response: 0, stability: 0}",
                "scoring: every weight is 0, and no node could be told from another; to have no scores, leave prioritizeVerb out of kube-scheduler's configuration",
            ),
        ] {
            let refusal = Config::parse(&format!("scoring: {text}")).unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        }
    }
}
