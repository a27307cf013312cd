//! The score of a node for a VM, relative to the other candidates. All numbers are integers, so that every
//! replica computes the same scores.
//!
//! The best candidate in an input gets its whole weight, and the others a proportion of it. For locality,
//! the worst candidate gets zero. An input that is unknown, or equal for all candidates, lowers no score.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

/// The best score there is. kube-scheduler takes nothing above it.
pub const BEST: u8 = 10;

/// Responses faster than this count as nearly equal: a probe passes two databases, and a busy database
/// adds as much.
const QUICK: Duration = Duration::from_millis(100);

/// The parts of a whole.
const WHOLE: u64 = 1000;

/// What a score is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Input {
    /// How many of the VM's logical switches are local on the chassis already.
    Locality,
    /// How many migrations are on their way there.
    Arriving,
    /// How fast the chassis answers.
    Response,
    /// For how long the chassis has not flapped.
    Stability,
}

impl Input {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metric labels, logs and the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How much each input counts beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Of [`Input::Locality`].
    pub locality: u32,
    /// Of [`Input::Arriving`].
    pub arriving: u32,
    /// Of [`Input::Response`].
    pub response: u32,
    /// Of [`Input::Stability`].
    pub stability: u32,
}

/// Together ten, so that each is in points of the score. Locality is more than all others together:
/// a first landing costs seconds without a network, whatever else is good there.
impl Default for Weights {
    fn default() -> Self {
        Self {
            locality: 6,
            arriving: 2,
            response: 1,
            stability: 1,
        }
    }
}

impl Weights {
    /// Of one input.
    #[must_use]
    pub const fn of(&self, input: Input) -> u32 {
        match input {
            Input::Locality => self.locality,
            Input::Arriving => self.arriving,
            Input::Response => self.response,
            Input::Stability => self.stability,
        }
    }
}

/// What is known of one candidate; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// How many of the VM's logical switches are local on its chassis.
    pub local: Option<usize>,
    /// How many migrations that are not over have their target there.
    pub arriving: Option<usize>,
    /// How long its chassis takes to answer, in the mean.
    pub response: Option<Duration>,
    /// For how long its chassis has not flapped, up to a time after which that is forgotten.
    pub steady: Option<Duration>,
}

impl Inputs {
    /// A number that is the greater the better the candidate is by this input, in proportion.
    fn merit(&self, input: Input) -> Option<u64> {
        let whole = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        match input {
            Input::Locality => self.local.map(whole),
            Input::Arriving => {
                let share = |arriving| u64::MAX / whole(arriving).saturating_add(1);
                self.arriving.map(share)
            }
            Input::Response => {
                let speed = |time| u64::MAX / micros(QUICK).saturating_add(micros(time));
                self.response.map(speed)
            }
            // Whole minutes, or the same call would have another answer a moment later.
            Input::Stability => self.steady.map(|time| time.as_secs() / 60),
        }
    }
}

/// The effect of an input on the scores of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Effect {
    /// It differs between candidates.
    Decides,
    /// It is the same for all.
    Same,
    /// It is known for no candidate.
    Unknown,
    /// It has no weight.
    Off,
}

impl Effect {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What the candidates of one call are measured against.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    weights: Weights,
    /// The best and the worst of each input, where anything is known.
    range: [Option<Range>; Input::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Range {
    worst: u64,
    best: u64,
}

impl Scale {
    /// The scale of these candidates, in whatever order.
    #[must_use]
    pub fn new(weights: Weights, candidates: &[Inputs]) -> Self {
        let mut range: [Option<Range>; Input::ALL.len()] = Default::default();
        for (range, input) in range.iter_mut().zip(Input::ALL) {
            for merit in candidates.iter().filter_map(|inputs| inputs.merit(*input)) {
                *range = Some(Range {
                    worst: range.map_or(merit, |range| range.worst.min(merit)),
                    best: range.map_or(merit, |range| range.best.max(merit)),
                });
            }
        }
        Self { weights, range }
    }

    /// The effect of an input.
    #[must_use]
    pub const fn effect(&self, input: Input) -> Effect {
        if self.weights.of(input) == 0 {
            return Effect::Off;
        }
        match self.range[input as usize] {
            None => Effect::Unknown,
            Some(Range { worst, best }) if worst < best => Effect::Decides,
            Some(_) => Effect::Same,
        }
    }

    /// The score of one of the candidates, from 0 to [`BEST`].
    #[must_use]
    pub fn score(&self, inputs: &Inputs) -> u8 {
        let (mut sum, mut most) = (0, 0);
        for input in Input::ALL {
            let weight = u64::from(self.weights.of(*input));
            sum += weight * self.part(*input, inputs);
            most += weight * WHOLE;
        }
        let scaled = 2 * u64::from(BEST) * sum + most;
        let rounded = scaled.checked_div(2 * most).unwrap_or_default();
        u8::try_from(rounded).unwrap_or(BEST)
    }

    /// The part of an input's weight that a candidate gets, in thousandths. A candidate for which the input is unknown
    /// gets no more than the worst known one: missing data is no advantage.
    #[must_use]
    pub fn part(&self, input: Input, inputs: &Inputs) -> u64 {
        let Some(Range { worst, best }) = self.range[input as usize] else {
            return WHOLE;
        };
        let merit = inputs.merit(input).unwrap_or(worst);
        // The candidate with the fewest local switches gets zero, also if it has some: a switch that is
        // local everywhere does not distinguish candidates.
        let floor = if input == Input::Locality { worst } else { 0 };
        let merit = u128::from(merit.saturating_sub(floor));
        let best = u128::from(best.saturating_sub(floor));
        let part = (merit * u128::from(WHOLE) + best / 2).checked_div(best);
        part.and_then(|part| u64::try_from(part).ok())
            .map_or(WHOLE, |part| part.min(WHOLE))
    }
}

#[cfg(test)]
mod tests;
