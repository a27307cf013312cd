//! A rate limit for all sources together, and one for each source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How many times its rate a second a source, or all of them, may take at once.
const BURST: u32 = 4;

/// The part of the rate of all that one source may take.
const SOURCE_PART: u32 = 2;

/// A rate for all sources together, and a smaller one for each.
#[derive(Debug)]
pub(super) struct SourceRate {
    all: Rate,
    each: Rate,
    taken: Taken,
    by_source: HashMap<IpAddr, Taken>,
}

/// One each period in the long run, and so many periods' worth at once.
#[derive(Clone, Copy, Debug)]
struct Rate {
    period: Duration,
    burst: u32,
}

/// When the taken permits are regained; `None` or a time in the past means that all are available.
type Taken = Option<Instant>;

impl Rate {
    fn per_second(count: u32) -> Self {
        let count = count.max(1);
        Self {
            period: Duration::from_secs(1) / count,
            burst: count.saturating_mul(BURST),
        }
    }

    /// What is taken with one more, if it may be.
    fn one_more(self, taken: Taken, now: Instant) -> Option<Instant> {
        let paid = taken.map_or(now, |paid| paid.max(now));
        (paid <= now + self.period * (self.burst - 1)).then(|| paid + self.period)
    }
}

impl SourceRate {
    pub(super) fn per_second(count: u32) -> Self {
        Self {
            all: Rate::per_second(count),
            each: Rate::per_second(count / SOURCE_PART),
            taken: None,
            by_source: HashMap::new(),
        }
    }

    /// Takes one for a source, if it and all together may.
    pub(super) fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        // Those that owe nothing; so there are never more than the rate of all lets in meanwhile.
        self.by_source
            .retain(|_, taken| taken.is_some_and(|paid| paid > now));
        let by_source = self.by_source.get(&source).copied().flatten();
        let (Some(all), Some(each)) = (
            self.all.one_more(self.taken, now),
            self.each.one_more(by_source, now),
        ) else {
            return false;
        };
        self.taken = Some(all);
        self.by_source.insert(source, Some(each));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u16) -> IpAddr {
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, last])
    }

    fn taken(rate: &mut SourceRate, sources: impl Iterator<Item = u16>, now: Instant) -> usize {
        sources.filter(|last| rate.take(source(*last), now)).count()
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate_and_the_others_get_the_rest() {
        let mut rate = SourceRate::per_second(10);
        let now = Instant::now();
        let one = || std::iter::repeat_n(1, 100);
        assert_eq!(taken(&mut rate, one(), now), 20);
        assert_eq!(taken(&mut rate, 2..200, now), 20);
        let later = now + Duration::from_secs(1);
        assert_eq!(taken(&mut rate, one(), later), 5);
        assert_eq!(taken(&mut rate, 2..200, later), 5);
        let much_later = now + Duration::from_mins(1);
        assert_eq!(taken(&mut rate, one(), much_later), 20);
    }

    #[test]
    fn sources_without_recent_requests_are_forgotten() {
        let mut rate = SourceRate::per_second(10);
        let start = Instant::now();
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            taken(&mut rate, 0..1000, now);
            assert!(rate.by_source.len() <= 50, "{}", rate.by_source.len());
        }
    }

    #[test]
    fn the_least_rate_is_one_a_second() {
        let mut rate = SourceRate::per_second(1);
        let now = Instant::now();
        assert_eq!(taken(&mut rate, std::iter::repeat_n(1, 100), now), 4);
    }
}
