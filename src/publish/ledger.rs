//! What is published of each node, and what is to be: a state machine that says which conditions to
//! write now. A node's change is written at once, its next one not before a while, and all together
//! no faster than a rate: a rack that goes is no storm.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::{ChassisReady, Status};

/// How fast conditions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one change of a node's condition to the next.
    pub debounce: Duration,
    /// How many are written a second in the long run; twice as many at once.
    pub per_second: u32,
}

/// A node, as it is known at one moment.
#[derive(Clone, Debug)]
pub struct Seen<'a, F> {
    /// Its name.
    pub node: &'a str,
    /// The condition that the API server told of last.
    pub published: Option<&'a ChassisReady>,
    /// What the condition is to be, by what it is.
    pub decide: F,
}

/// A condition to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Of which node.
    pub node: Box<str>,
    /// What to write.
    pub condition: ChassisReady,
    /// What is new about it.
    pub change: Change,
}

/// What a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was no condition.
    New,
    /// The status, and what goes with it.
    Status,
    /// The reason or the message alone.
    Words,
}

/// What is to be written, and how many nodes wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What to write now, the most urgent first.
    pub writes: Vec<Write>,
    /// Nodes whose condition is not what it is to be, and is not written now.
    pub waiting: usize,
}

/// What is known of a write, where no watch tells of it, is not believed for longer: somebody else may
/// have written since.
const BELIEVED: Duration = Duration::from_secs(10);

/// A node that changes again within so many debounces of its last change waits twice as long for the
/// next one.
const RESTLESS: u32 = 10;

/// The longest that a node waits, for whatever reason.
const LONGEST: Duration = Duration::from_mins(5);

/// The first wait of a node that could not be written; each one after it is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Knows what was written, which the API server's watch tells of only later.
#[derive(Debug)]
pub struct Ledger {
    pace: Pace,
    nodes: HashMap<Box<str>, Entry>,
    look: u64,
    allowance: f64,
    counted: Option<Instant>,
}

#[derive(Debug, Default)]
struct Entry {
    /// As the watch has it.
    seen: Option<ChassisReady>,
    /// As it is, as far as anybody knows: what was seen or written last.
    is: Option<ChassisReady>,
    written: Option<Instant>,
    /// How long the last write keeps the next one waiting.
    hold: Duration,
    not_before: Option<Instant>,
    failures: u32,
    look: u64,
}

impl Entry {
    fn see(&mut self, published: Option<&ChassisReady>, now: Instant) {
        let doubtful = self.written.is_some_and(|at| now >= at + BELIEVED);
        if self.seen.as_ref() != published {
            self.seen = published.cloned();
            self.is = published.cloned();
        } else if doubtful && self.is.as_ref() != published {
            self.is = published.cloned();
        }
    }
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            nodes: HashMap::new(),
            look: 0,
            allowance: f64::from(pace.per_second) * 2.0,
            counted: None,
        }
    }

    /// These are all nodes: what to write now.
    pub fn due<'a, F>(&mut self, nodes: impl Iterator<Item = Seen<'a, F>>, now: Instant) -> Due
    where
        F: FnOnce(Option<&ChassisReady>) -> ChassisReady,
    {
        self.look += 1;
        let mut due = Due::default();
        for Seen {
            node,
            published,
            decide,
        } in nodes
        {
            let entry = self.entry(node);
            entry.see(published, now);
            let condition = decide(entry.is.as_ref());
            let change = match &entry.is {
                None => Change::New,
                Some(is) if *is == condition => continue,
                Some(is) if is.status != condition.status => Change::Status,
                Some(_) => Change::Words,
            };
            if entry.not_before.is_some_and(|at| now < at) {
                due.waiting += 1;
                continue;
            }
            due.writes.push(Write {
                node: node.into(),
                condition,
                change,
            });
        }
        let look = self.look;
        self.nodes.retain(|_, entry| entry.look == look);
        due.writes.sort_by_key(urgency);
        let allowed = self.allow(due.writes.len(), now);
        due.waiting += due.writes.len() - allowed;
        due.writes.truncate(allowed);
        due
    }

    /// It was written.
    pub fn wrote(&mut self, write: Write, now: Instant) {
        let debounce = self.pace.debounce;
        let entry = self.entry(&write.node);
        let restless = entry
            .written
            .is_some_and(|last| now < last + entry.hold.max(debounce) * RESTLESS);
        entry.hold = if restless {
            (entry.hold * 2).min(LONGEST).max(debounce)
        } else {
            debounce
        };
        entry.is = Some(write.condition);
        entry.written = Some(now);
        entry.not_before = Some(now + entry.hold);
        entry.failures = 0;
    }

    /// It could not be written, and is tried again after a while.
    pub fn failed(&mut self, node: &str, now: Instant) {
        let entry = self.entry(node);
        let wait = FIRST_RETRY * 2_u32.saturating_pow(entry.failures);
        entry.failures = entry.failures.saturating_add(1).min(16);
        entry.not_before = Some(now + wait.min(LONGEST));
    }

    fn entry(&mut self, node: &str) -> &mut Entry {
        let entry = self.nodes.entry(node.into()).or_default();
        entry.look = self.look;
        entry
    }

    /// How many of so many may be written now.
    fn allow(&mut self, wanted: usize, now: Instant) -> usize {
        let rate = f64::from(self.pace.per_second);
        let since = self.counted.replace(now);
        let since = since.map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        self.allowance = (self.allowance + since.as_secs_f64() * rate).min(rate * 2.0);
        let mut allowed = 0;
        while allowed < wanted && self.allowance >= 1.0 {
            self.allowance -= 1.0;
            allowed += 1;
        }
        allowed
    }
}

/// Whom pods wait for comes first, and better words for the same come last.
fn urgency(write: &Write) -> u8 {
    match (write.change, write.condition.status) {
        (Change::Status, Status::True) => 0,
        (Change::Status, _) => 1,
        (Change::New, _) => 2,
        (Change::Words, _) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status::{False, True, Unknown};

    const PACE: Pace = Pace {
        debounce: Duration::from_secs(5),
        per_second: 2,
    };

    fn mk_condition(status: Status, reason: &'static str) -> ChassisReady {
        ChassisReady {
            status,
            reason: reason.into(),
            message: "".into(),
        }
    }

    /// A node that is to have a condition, whatever it has.
    fn mk_seen<'a>(
        node: &'a str,
        published: Option<&'a ChassisReady>,
        wanted: &'a ChassisReady,
    ) -> Seen<'a, impl Clone + FnOnce(Option<&ChassisReady>) -> ChassisReady> {
        Seen {
            node,
            published,
            decide: |_: Option<&ChassisReady>| wanted.clone(),
        }
    }

    /// Looks at nodes, writes all that is due, and gives the names and how many wait.
    fn write_due<F>(
        ledger: &mut Ledger,
        nodes: &[Seen<'_, F>],
        now: Instant,
    ) -> (Vec<String>, usize)
    where
        F: Clone + FnOnce(Option<&ChassisReady>) -> ChassisReady,
    {
        let Due { writes, waiting } = ledger.due(nodes.iter().cloned(), now);
        let names = writes.iter().map(|write| write.node.to_string()).collect();
        for write in writes {
            ledger.wrote(write, now);
        }
        (names, waiting)
    }

    fn names<const N: usize>(names: [&str; N], waiting: usize) -> (Vec<String>, usize) {
        (names.map(str::to_owned).to_vec(), waiting)
    }

    #[test]
    fn a_condition_is_written_once_and_again_only_when_it_changes() {
        let (good, bad) = (mk_condition(True, "a"), mk_condition(False, "b"));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ledger = Ledger::new(PACE);
        for (seconds, published, wanted, expect) in [
            (0, None, &good, names(["a"], 0)),
            // The watch does not tell of it yet.
            (1, None, &good, names([], 0)),
            (1, Some(&good), &good, names([], 0)),
            (60, Some(&good), &bad, names(["a"], 0)),
            (61, Some(&good), &bad, names([], 0)),
            // Not again before the debounce is over.
            (62, Some(&bad), &good, names([], 1)),
            (63, Some(&bad), &bad, names([], 0)),
            (64, Some(&bad), &good, names([], 1)),
            (65, Some(&bad), &good, names(["a"], 0)),
            (66, Some(&good), &good, names([], 0)),
            // Somebody else wrote it.
            (180, Some(&bad), &good, names(["a"], 0)),
            (181, None, &good, names([], 1)),
            (185, None, &good, names(["a"], 0)),
        ] {
            let seen = [mk_seen("a", published, wanted)];
            assert_eq!(
                write_due(&mut ledger, &seen, at(seconds)),
                expect,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn a_write_says_what_is_new_about_it() {
        let is = mk_condition(False, "b");
        let mut ledger = Ledger::new(PACE);
        for (published, expect) in [
            (None, Change::New),
            (Some(&mk_condition(True, "b")), Change::Status),
            (Some(&mk_condition(False, "a")), Change::Words),
        ] {
            let due = ledger.due([mk_seen("a", published, &is)].into_iter(), Instant::now());
            let changes: Vec<_> = due.writes.iter().map(|write| write.change).collect();
            assert_eq!(changes, [expect]);
        }
    }

    #[test]
    fn a_rack_is_written_at_the_rate_and_those_first_whom_pods_wait_for() {
        let good = mk_condition(True, "a");
        let [bad, other, unknown] = [(False, "b"), (False, "c"), (Unknown, "d")]
            .map(|(status, reason)| mk_condition(status, reason));
        let nodes = [
            mk_seen("other-word", Some(&other), &bad),
            mk_seen("new", None, &bad),
            mk_seen("goes", Some(&good), &bad),
            mk_seen("goes-too", Some(&good), &unknown),
            mk_seen("comes", Some(&bad), &good),
            mk_seen("comes-too", Some(&unknown), &good),
            mk_seen("stays", Some(&good), &good),
        ];
        let mut ledger = Ledger::new(PACE);
        let now = Instant::now();
        let first = write_due(&mut ledger, &nodes, now);
        assert_eq!(first, names(["comes", "comes-too", "goes", "goes-too"], 2));
        assert_eq!(write_due(&mut ledger, &nodes, now), names([], 2));
        let now = now + Duration::from_millis(500);
        assert_eq!(write_due(&mut ledger, &nodes, now), names(["new"], 1));
        let now = now + Duration::from_secs(9);
        assert_eq!(
            write_due(&mut ledger, &nodes, now),
            names(["other-word"], 0)
        );
    }

    #[test]
    fn what_is_decided_is_decided_on_what_was_written_and_not_on_what_a_watch_tells_late() {
        let (good, bad) = (mk_condition(True, "a"), mk_condition(False, "b"));
        let mut ledger = Ledger::new(PACE);
        let now = Instant::now();
        let mut told = Vec::new();
        for seconds in 0..3 {
            let seen = Seen {
                node: "a",
                published: Some(&bad),
                decide: |is: Option<&ChassisReady>| {
                    told.push(is.unwrap().status);
                    good.clone()
                },
            };
            let due = ledger.due([seen].into_iter(), now + Duration::from_secs(seconds));
            for write in due.writes {
                ledger.wrote(write, now);
            }
        }
        assert_eq!(told, [False, True, True]);
    }

    #[test]
    fn a_write_that_no_watch_tells_of_is_not_believed_for_ever() {
        let (good, bad) = (mk_condition(True, "a"), mk_condition(False, "b"));
        let start = Instant::now();
        let mut ledger = Ledger::new(PACE);
        // Somebody has put the old one back at once.
        for (seconds, expect) in [
            (0, names(["a"], 0)),
            (9, names([], 0)),
            (10, names(["a"], 0)),
            (19, names([], 0)),
        ] {
            let seen = [mk_seen("a", Some(&bad), &good)];
            let at = start + Duration::from_secs(seconds);
            assert_eq!(write_due(&mut ledger, &seen, at), expect, "{seconds} s");
        }
    }

    #[test]
    fn a_node_that_comes_and_goes_waits_longer_each_time_until_it_is_quiet() {
        let conditions = [mk_condition(True, "a"), mk_condition(False, "b")];
        let mut now = Instant::now();
        let mut ledger = Ledger::new(PACE);
        let mut is = None;
        let mut turn = |ledger: &mut Ledger, now: Instant, number: usize| {
            let wanted = &conditions[number % 2];
            let seen = [mk_seen("a", is, wanted)];
            let written = write_due(ledger, &seen, now) == names(["a"], 0);
            if written {
                is = Some(wanted);
            }
            written
        };
        for (number, wait) in [(0, 5), (1, 10), (2, 20), (3, 40)] {
            assert!(turn(&mut ledger, now, number));
            let early = now + Duration::from_secs(wait - 1);
            assert!(!turn(&mut ledger, early, number + 1), "{wait} s");
            now += Duration::from_secs(wait);
        }
        now += Duration::from_secs(40 * 10);
        assert!(turn(&mut ledger, now, 4));
        assert!(turn(&mut ledger, now + PACE.debounce, 5));
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_after_a_while_that_grows() {
        let bad = mk_condition(False, "b");
        let nodes = [mk_seen("a", None, &bad)];
        let mut ledger = Ledger::new(PACE);
        let mut now = Instant::now();
        for wait in [1, 2, 4, 8] {
            assert_eq!(ledger.due(nodes.iter().cloned(), now).writes.len(), 1);
            ledger.failed("a", now);
            let early = now + Duration::from_secs(wait - 1);
            assert_eq!(write_due(&mut ledger, &nodes, early), names([], 1));
            now += Duration::from_secs(wait);
        }
        assert_eq!(write_due(&mut ledger, &nodes, now), names(["a"], 0));
    }

    #[test]
    fn a_node_that_is_gone_is_forgotten() {
        let bad = mk_condition(False, "b");
        let mut ledger = Ledger::new(PACE);
        let now = Instant::now();
        let node = [mk_seen("a", None, &bad)];
        write_due(&mut ledger, &node, now);
        write_due(&mut ledger, &node[..0], now);
        assert!(ledger.nodes.is_empty());
        assert_eq!(write_due(&mut ledger, &node, now), names(["a"], 0));
    }
}
