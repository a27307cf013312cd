//! How much each input of a score counts.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::decide::score::{Input, Weights};

/// How the nodes that pass are told apart: the weight of each input of a score, from 0 to 100, beside
/// the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Scoring {
    /// The VM's logical switches, or VPCs, are local on the chassis already. Without it no port of the
    /// southbound database is read.
    #[schemars(range(max = 100))]
    pub locality: u32,
    /// Few migrations are arriving there.
    #[schemars(range(max = 100))]
    pub arriving: u32,
    /// The chassis answers fast.
    #[schemars(range(max = 100))]
    pub response: u32,
    /// The chassis has not flapped.
    #[schemars(range(max = 100))]
    pub stability: u32,
}

/// More would say nothing more.
const MOST: u32 = 100;

impl Default for Scoring {
    fn default() -> Self {
        let Weights {
            locality,
            arriving,
            response,
            stability,
        } = Weights::default();
        Self {
            locality,
            arriving,
            response,
            stability,
        }
    }
}

impl Scoring {
    /// The weights in the score's own terms.
    #[must_use]
    pub const fn weights(self) -> Weights {
        let Self {
            locality,
            arriving,
            response,
            stability,
        } = self;
        Weights {
            locality,
            arriving,
            response,
            stability,
        }
    }

    /// Refuses what no score can be made of.
    pub fn check(self) -> Result<(), Refusal> {
        let weights = self.weights();
        for input in Input::ALL {
            let weight = weights.of(input);
            if weight > MOST {
                let name = input.name();
                return Err(Refusal::Combination(format!(
                    "scoring.{name}: {weight} is more than {MOST}"
                )));
            }
        }
        if Input::ALL.iter().all(|input| weights.of(*input) == 0) {
            return Err(Refusal::Combination(
                "scoring: every weight is 0, and no node could be told from another; leave prioritizeVerb out of kube-scheduler's configuration to have no scores"
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
            ("{locality: 101}", "scoring.locality: 101 is more than 100"),
            (
                "{locality: 0, arriving: 0, response: 0, stability: 0}",
                "scoring: every weight is 0, and no node could be told from another; leave prioritizeVerb out of kube-scheduler's configuration to have no scores",
            ),
        ] {
            let refusal = Config::parse(&format!("scoring: {text}")).unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        }
        for (text, path) in [
            ("{locality: -1}", "scoring.locality: "),
            ("{arriving: 0.5}", "scoring.arriving: "),
            ("{response: high}", "scoring.response: "),
            ("{flaps: 1}", "scoring.flaps: "),
        ] {
            let refusal = Config::parse(&format!("scoring: {text}")).unwrap_err();
            assert!(refusal.to_string().starts_with(path), "{refusal}");
        }
    }
}
