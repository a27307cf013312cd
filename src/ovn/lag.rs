//! How long a chassis has lagged: when each value of `SB_Global.nb_cfg` arrived, on a clock that
//! runs only while berth is connected. Time that berth did not observe does not count.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::time::{Duration, Instant};

use rpds::RedBlackTreeMapSync;

/// With more values than this, the older ones are thinned out.
const MOST: usize = 4096;

/// How many of the newest values are never thinned out.
const NEWEST: usize = 1024;

/// Measures how long berth has watched the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    before: Duration,
    running: Option<Instant>,
}

impl Clock {
    pub(super) fn start(&mut self, now: Instant) {
        self.stop(now);
        self.running = Some(now);
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.before = self.at(now);
        self.running = None;
    }

    /// The watched time until `now`.
    pub(super) fn at(&self, now: Instant) -> Duration {
        let running = self
            .running
            .map(|since| now.saturating_duration_since(since));
        self.before + running.unwrap_or_default()
    }
}

/// A lag that began at `from` or later counts only from `to`: no chassis could catch up before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restart {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Restart {
    /// When a lag that began at `since` starts to count.
    pub(super) fn apply(self, since: Duration) -> Duration {
        if since >= self.from {
            since.max(self.to)
        } else {
            since
        }
    }

    /// Combines this restart with a later one. A lag that the first one moved to `later.from` or
    /// later moves again.
    pub(super) fn then(self, later: Self) -> Self {
        Self {
            from: if self.to >= later.from {
                self.from.min(later.from)
            } else {
                later.from
            },
            to: later.to,
        }
    }
}

/// The minimum number of chassis for a standstill.
const FEWEST: usize = 3;

/// Every chassis that ever answered is behind, and at least [`FEWEST`] fell behind within one
/// allowed lag. The cause is then the database, northd or OVN's configuration rather than so many
/// nodes at once, so each of these chassis keeps its earlier verdict until one of them answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standstill {
    /// A chassis that fell behind before this time failed on its own.
    pub(super) from: Duration,
    /// After this time, all chassis are behind for longer than the allowed lag.
    pub(super) over: Duration,
}

/// For each value, how many chassis answered it last. A chassis that never answered is not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers(BTreeMap<i64, usize>);

impl Answers {
    pub(super) fn add(&mut self, value: i64) {
        *self.0.entry(value).or_default() += 1;
    }

    pub(super) fn remove(&mut self, value: i64) {
        if let Some(count) = self.0.get_mut(&value) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&value);
            }
        }
    }

    /// The standstill, if there is one: it depends on when the first unanswered value of each
    /// chassis arrived. The cost is bounded by [`FEWEST`], not by the number of chassis.
    pub(super) fn standstill(
        &self,
        history: &NbCfgHistory,
        restart: Restart,
        allowed_lag: Duration,
    ) -> Option<Standstill> {
        let since = |value| Some(restart.apply(history.first_after(Some(value))?.at));
        let mut latest_first = self.0.iter().rev();
        let (latest, mut members) = latest_first.next().map(|(value, count)| (*value, *count))?;
        let latest = since(latest)?;
        let from = latest.saturating_sub(allowed_lag);
        while members < FEWEST {
            let (value, count) = latest_first.next()?;
            if since(*value)? < from {
                return None;
            }
            members += count;
        }
        Some(Standstill {
            from,
            over: latest + allowed_lag,
        })
    }
}

/// A value of `SB_Global.nb_cfg` that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bump {
    /// When the value arrived, on the clock.
    pub(super) at: Duration,
    /// The value arrived over an open connection; it was not part of the initial state.
    pub(super) live: bool,
}

/// The values that a lag can still refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NbCfgHistory {
    seen: RedBlackTreeMapSync<i64, Bump>,
    current: Option<i64>,
}

impl NbCfgHistory {
    /// The current value.
    pub(super) const fn current(&self) -> Option<i64> {
        self.current
    }

    /// Records the current value. Values only rise; a lower one comes from another database.
    pub(super) fn see(&mut self, value: i64, bump: Bump) {
        if self.current() == Some(value) {
            return;
        }
        if self.current() > Some(value) {
            *self = Self::default();
        }
        self.seen.insert_mut(value, bump);
        self.current = Some(value);
        if self.seen.size() > MOST {
            self.thin_out();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first value that a chassis with `value` has not answered.
    pub(super) fn first_after(&self, value: Option<i64>) -> Option<Bump> {
        // The usual case: the chassis is up to date.
        if self.current <= value {
            return None;
        }
        let from = value.map_or(Unbounded, Excluded);
        self.first((from, Unbounded))
    }

    /// When `value` arrived, or the first higher one that is still stored.
    pub(super) fn first_from(&self, value: i64) -> Option<Bump> {
        self.first((Included(value), Unbounded))
    }

    fn first(&self, range: (std::ops::Bound<i64>, std::ops::Bound<i64>)) -> Option<Bump> {
        self.seen.range(range).next().map(|(_, bump)| *bump)
    }

    /// Keeps the later of every two old values, with the time of the earlier: the oldest time
    /// stays, and no lag appears shorter than it is.
    fn thin_out(&mut self) {
        let old: Vec<_> = self.seen.iter().take(self.seen.size() - NEWEST).collect();
        let pairs = old
            .chunks_exact(2)
            .map(|pair| (*pair[0].0, *pair[1].0, *pair[0].1));
        let pairs: Vec<_> = pairs.collect();
        for (earlier, later, first) in pairs {
            self.seen.remove_mut(&earlier);
            self.seen.insert_mut(later, first);
        }
    }
}

#[cfg(test)]
mod tests;
