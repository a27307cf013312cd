//! How long a chassis is behind: when each value of `SB_Global.nb_cfg` was first seen, on a clock
//! that runs only while berth is connected. Time without a connection is not counted as lag.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::time::{Duration, Instant};

use rpds::RedBlackTreeMapSync;

/// More values than this are thinned out, the older ones.
const MOST: usize = 4096;

/// How many of the newest stay as they are.
const NEWEST: usize = 1024;

/// The time that the database was watched for.
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

    /// The time watched until `now`.
    pub(super) fn at(&self, now: Instant) -> Duration {
        let running = self
            .running
            .map(|since| now.saturating_duration_since(since));
        self.before + running.unwrap_or_default()
    }
}

/// Lags that began at `from` or later count from `to` alone: until then no chassis could catch up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restart {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Restart {
    /// Since when a lag that began at `since` counts.
    pub(super) fn apply(self, since: Duration) -> Duration {
        if since >= self.from {
            since.max(self.to)
        } else {
            since
        }
    }

    /// With one more that is later. Lags that the first one moved are moved by the second one as well,
    /// where it is about the time that they were moved to.
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

/// So many chassis at least have to fall behind together before it is not they that are at fault.
const FEWEST: usize = 3;

/// All chassis that ever answered fell behind within the lag that is allowed to each: the database,
/// northd or OVN's configuration is at fault, and not so many nodes at once. What was judged of a
/// chassis by its lag before stays until one of them answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standstill {
    /// A chassis that fell behind earlier had failed by itself.
    pub(super) from: Duration,
    /// Later than this all of them are behind for longer than is allowed.
    pub(super) over: Duration,
}

/// How many chassis answered each value last, of those that ever answered one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers(BTreeMap<i64, usize>);

impl Answers {
    pub(super) fn add(&mut self, value: i64) {
        *self.0.entry(value).or_default() += 1;
    }

    pub(super) fn remove(&mut self, value: i64) {
        if let Entry::Occupied(mut entry) = self.0.entry(value) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// Whether they stand still, by when what they did not answer was asked. It looks at no more than
    /// [`FEWEST`] of them, however many there are.
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
    /// When, on the clock.
    pub(super) at: Duration,
    /// It was seen to come, and was not there when the connection was made.
    pub(super) live: bool,
}

/// All values seen, as far as anybody needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NbCfgHistory {
    seen: RedBlackTreeMapSync<i64, Bump>,
    current: Option<i64>,
}

impl NbCfgHistory {
    /// The value now.
    pub(super) const fn current(&self) -> Option<i64> {
        self.current
    }

    /// The value is this. Values only rise; one that falls is that of another database.
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

    /// Since when a chassis that answered `value` has something to answer.
    pub(super) fn first_after(&self, value: Option<i64>) -> Option<Bump> {
        // Nearly all of them, nearly always.
        if self.current <= value {
            return None;
        }
        let from = value.map_or(Unbounded, Excluded);
        self.first((from, Unbounded))
    }

    /// When that came which a chassis answers with `value`.
    pub(super) fn first_from(&self, value: i64) -> Option<Bump> {
        self.first((Included(value), Unbounded))
    }

    fn first(&self, range: (std::ops::Bound<i64>, std::ops::Bound<i64>)) -> Option<Bump> {
        self.seen.range(range).next().map(|(_, bump)| *bump)
    }

    /// Of every two old values the later one stays, with the time of the earlier: the oldest time
    /// is never lost, and a lag is never told shorter than it is.
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
