//! Tracks the published condition of each node, and decides which conditions to write now. The first
//! change of a node is written at once and the next one after a delay. All writes together are limited in
//! rate, so that the loss of a rack does not flood the API server.

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
pub struct ObservedNode<'a, F> {
    /// Its name.
    pub node: &'a str,
    /// The condition in the last event of the watch.
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
    MessageOnly,
}

/// What is to be written, and how many nodes wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingWrites {
    /// What to write now, the most urgent first.
    pub writes: Vec<Write>,
    /// Nodes whose condition is not what it is to be, and is not written now.
    pub waiting: usize,
}

/// How long a write counts that the watch has not confirmed: another client may have written since.
const BELIEVED: Duration = Duration::from_secs(10);

/// A node that changes again within so many debounces of its last change waits twice as long for the
/// next one.
const RESTLESS: u32 = 10;

/// The longest that a node waits.
const LONGEST: Duration = Duration::from_mins(5);

/// The first wait of a node that could not be written; each one after it is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Remembers writes until the watch confirms them.
#[derive(Debug)]
pub struct ConditionTracker {
    pace: Pace,
    nodes: HashMap<Box<str>, Entry>,
    round: u64,
    allowance: f64,
    counted: Option<Instant>,
}

#[derive(Debug, Default)]
struct Entry {
    /// As the watch has it.
    seen: Option<ChassisReady>,
    /// What was seen or written last.
    is: Option<ChassisReady>,
    written: Option<Instant>,
    /// How long the last write keeps the next one waiting.
    hold: Duration,
    not_before: Option<Instant>,
    failures: u32,
    round: u64,
}

impl Entry {
    fn observe(&mut self, published: Option<&ChassisReady>, now: Instant) {
        let doubtful = self.written.is_some_and(|at| now >= at + BELIEVED);
        if self.seen.as_ref() != published {
            self.seen = published.cloned();
            self.is = published.cloned();
        } else if doubtful && self.is.as_ref() != published {
            self.is = published.cloned();
        }
    }
}

impl ConditionTracker {
    /// An empty tracker.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            nodes: HashMap::new(),
            round: 0,
            allowance: f64::from(pace.per_second) * 2.0,
            counted: None,
        }
    }

    /// These are all nodes: what to write now.
    pub fn update<'a, F>(
        &mut self,
        nodes: impl Iterator<Item = ObservedNode<'a, F>>,
        now: Instant,
    ) -> PendingWrites
    where
        F: FnOnce(Option<&ChassisReady>) -> ChassisReady,
    {
        self.round += 1;
        let mut due = PendingWrites::default();
        for ObservedNode {
            node,
            published,
            decide,
        } in nodes
        {
            let entry = self.entry(node);
            entry.observe(published, now);
            let condition = decide(entry.is.as_ref());
            let change = match &entry.is {
                None => Change::New,
                Some(is) if *is == condition => continue,
                Some(is) if is.status != condition.status => Change::Status,
                Some(_) => Change::MessageOnly,
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
        let round = self.round;
        self.nodes.retain(|_, entry| entry.round == round);
        due.writes.sort_by_key(urgency);
        let allowed = self.allow(due.writes.len(), now);
        due.waiting += due.writes.len() - allowed;
        due.writes.truncate(allowed);
        due
    }

    /// It was written.
    pub fn record_write(&mut self, write: Write, now: Instant) {
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
    pub fn record_failure(&mut self, node: &str, now: Instant) {
        let entry = self.entry(node);
        let wait = FIRST_RETRY * 2_u32.saturating_pow(entry.failures);
        entry.failures = entry.failures.saturating_add(1).min(16);
        entry.not_before = Some(now + wait.min(LONGEST));
    }

    fn entry(&mut self, node: &str) -> &mut Entry {
        let entry = self.nodes.entry(node.into()).or_default();
        entry.round = self.round;
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

/// Nodes that become ready come first, because pods may wait for them; changes of the message come last.
fn urgency(write: &Write) -> u8 {
    match (write.change, write.condition.status) {
        (Change::Status, Status::True) => 0,
        (Change::Status, _) => 1,
        (Change::New, _) => 2,
        (Change::MessageOnly, _) => 3,
    }
}

#[cfg(test)]
mod tests;
