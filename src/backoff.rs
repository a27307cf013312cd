//! Waits between tries: each twice as long as the one before, up to a longest one, with jitter.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The waits after failures of one thing.
#[derive(Debug)]
pub(crate) struct Backoff {
    builder: ExponentialBuilder,
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// Jitter adds up to as much again to each wait.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times();
        Self {
            builder,
            waits: builder.build(),
            longest,
        }
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        self.waits.next().unwrap_or(self.longest)
    }

    /// A try succeeded: the next wait is the first again.
    pub(crate) fn reset(&mut self) {
        self.waits = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let mut assert_waits = |least: &[u64]| {
            for least in least {
                let (wait, least) = (backoff.next(), Duration::from_millis(*least));
                assert!(wait >= least && wait <= 2 * least, "{wait:?} of {least:?}");
            }
            backoff.reset();
        };
        assert_waits(&[100, 200, 300, 300]);
        assert_waits(&[100]);
    }
}
