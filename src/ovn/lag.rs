//! How long a chassis is behind: when each value of `SB_Global.nb_cfg` was first seen, on a clock
//! that runs only while berth is connected. What could not be seen is held against nobody.

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
        bumps: &Bumps,
        restart: Restart,
        allowed_lag: Duration,
    ) -> Option<Standstill> {
        let since = |value| Some(restart.apply(bumps.first_after(Some(value))?.at));
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
pub(super) struct Bumps {
    seen: RedBlackTreeMapSync<i64, Bump>,
    current: Option<i64>,
}

impl Bumps {
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
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn mk_bumps(values: impl IntoIterator<Item = (i64, u64)>) -> Bumps {
        let mut bumps = Bumps::default();
        for (value, seconds) in values {
            let bump = Bump {
                at: at(seconds),
                live: true,
            };
            bumps.see(value, bump);
        }
        bumps
    }

    fn since(bumps: &Bumps, value: Option<i64>) -> Option<Duration> {
        bumps.first_after(value).map(|bump| bump.at)
    }

    #[test]
    fn the_clock_runs_only_while_it_is_started() {
        let start = Instant::now();
        let mut clock = Clock::default();
        assert_eq!(clock.at(start + at(5)), at(0));
        clock.start(start);
        assert_eq!(clock.at(start + at(5)), at(5));
        clock.stop(start + at(7));
        assert_eq!(clock.at(start + at(60)), at(7));
        clock.start(start + at(60));
        clock.start(start + at(61));
        assert_eq!(clock.at(start + at(62)), at(9));
    }

    #[test]
    fn one_is_behind_since_the_first_value_that_it_did_not_answer() {
        let bumps = mk_bumps([(3, 10), (4, 20), (4, 25), (7, 30)]);
        assert_eq!(bumps.current(), Some(7));
        for (value, expect) in [
            (None, Some(10)),
            (Some(2), Some(10)),
            (Some(3), Some(20)),
            (Some(4), Some(30)),
            (Some(6), Some(30)),
            (Some(7), None),
            (Some(8), None),
        ] {
            assert_eq!(since(&bumps, value), expect.map(at), "{value:?}");
        }
        assert_eq!(bumps.first_from(5).map(|bump| bump.at), Some(at(30)));
        assert_eq!(bumps.first_from(8), None);
    }

    #[test]
    fn lags_that_began_in_a_time_that_does_not_count_are_timed_from_its_end() {
        let restart = |from, to| Restart {
            from: at(from),
            to: at(to),
        };
        let none = Restart::default();
        for (restart, since, expect) in [
            (none, 7, 7),
            (restart(10, 20), 9, 9),
            (restart(10, 20), 10, 20),
            (restart(10, 20), 21, 21),
            // One after the other, the second of which begins where the first one ends, or later.
            (restart(10, 20).then(restart(20, 30)), 10, 30),
            (restart(10, 20).then(restart(20, 30)), 9, 9),
            (restart(10, 20).then(restart(21, 30)), 10, 10),
            (restart(10, 20).then(restart(21, 30)), 21, 30),
            (restart(10, 20).then(restart(5, 30)), 5, 30),
        ] {
            assert_eq!(restart.apply(at(since)), at(expect), "{restart:?} {since}");
        }
    }

    #[test]
    fn a_standstill_is_of_three_that_fell_behind_within_the_time_that_is_allowed() {
        let bumps = mk_bumps([(1, 0), (2, 10), (3, 20), (4, 30)]);
        let standstill = |answers: &[i64]| {
            let mut all = Answers::default();
            for answer in answers {
                all.add(*answer);
            }
            let standstill = all.standstill(&bumps, Restart::default(), at(10));
            standstill.map(|all| (all.from.as_secs(), all.over.as_secs()))
        };
        for (answers, expect) in [
            (&[][..], None),
            (&[3, 3], None),
            (&[3, 3, 4], None),
            (&[3, 3, 3], Some((20, 40))),
            (&[2, 3, 2], Some((20, 40))),
            (&[1, 2, 3], None),
            (&[1, 1, 2], Some((10, 30))),
            (&[1, 2, 2, 2], Some((10, 30))),
        ] {
            assert_eq!(standstill(answers), expect, "{answers:?}");
        }
        let mut all = Answers::default();
        for answer in [3, 3, 3, 4] {
            all.add(answer);
        }
        all.remove(4);
        all.remove(9);
        let left = all.standstill(&bumps, Restart::default(), at(10));
        assert!(left.is_some(), "who keeps up has gone");
    }

    #[test]
    fn a_value_that_falls_begins_another_history() {
        let bumps = mk_bumps([(3, 10), (4, 20), (2, 30)]);
        assert_eq!(bumps.current(), Some(2));
        assert_eq!(since(&bumps, None), Some(at(30)));
    }

    #[test]
    fn a_long_history_is_thinned_out_and_keeps_its_beginning_and_its_end() {
        let last = 100_000_i64;
        let bumps = mk_bumps((0..=last).map(|value| (value, value.unsigned_abs())));
        assert!(bumps.seen.size() <= MOST, "{}", bumps.seen.size());
        assert_eq!(since(&bumps, Some(-1)), Some(at(0)));
        for value in last - 1000..last {
            let exact = at(value.unsigned_abs() + 1);
            assert_eq!(since(&bumps, Some(value)), Some(exact));
        }
        for value in (0..last).step_by(777) {
            let since = since(&bumps, Some(value)).unwrap();
            assert!(since <= at(value.unsigned_abs() + 1), "{value}");
        }
    }
}
