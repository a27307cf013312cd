//! What happened, and what was not as it had to be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::calls::{Call, Counted};
use crate::process::{PATIENCE, Served, get};

/// Problems that are kept in words.
const SHOWN: usize = 20;

/// Shared by all that takes part.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    calls: BTreeMap<&'static str, u64>,
    /// As berth has to count them.
    counted: BTreeMap<Counted, u64>,
    events: BTreeMap<&'static str, u64>,
    problems: Vec<String>,
    unshown: u64,
    /// The most resident while it was warm up, and after: MiB.
    warm_up: f64,
    later: f64,
    last: f64,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call has got its answer, or none.
    pub(crate) fn answered(&self, call: &Call, answer: Result<(u16, String), String>) {
        let problem = match answer {
            Ok((status, body)) => call.problem(status, &body),
            Err(_) if call.is_cut_off => None,
            // Nobody knows what berth has counted.
            Err(error) => return self.problem(error),
        };
        let mut counts = self.lock();
        *counts.calls.entry(call.name).or_default() += 1;
        *counts.counted.entry(call.counted).or_default() += 1;
        drop(counts);
        if let Some(problem) = problem {
            self.problem(problem);
        }
    }

    /// Something was done to berth's surroundings.
    pub(crate) fn event(&self, name: &'static str) {
        *self.lock().events.entry(name).or_default() += 1;
    }

    pub(crate) fn problem(&self, problem: String) {
        let mut counts = self.lock();
        if counts.problems.len() < SHOWN {
            counts.problems.push(problem);
        } else {
            counts.unshown += 1;
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.lock().problems.clone()
    }

    pub(crate) fn memory(&self, is_warm: bool, bytes: f64) {
        let mut counts = self.lock();
        let mib = bytes / f64::from(1 << 20);
        counts.last = mib;
        if is_warm {
            counts.later = counts.later.max(mib);
        } else {
            counts.warm_up = counts.warm_up.max(mib);
        }
    }

    /// The most after the warm-up may be so much more than the most in it.
    pub(crate) fn bound_growth(&self, mib: f64) {
        let Counts { warm_up, later, .. } = *self.lock();
        if later > warm_up + mib {
            self.problem(format!(
                "memory grew from {warm_up:.1} MiB in the warm-up to {later:.1} MiB, by more than {mib:.0} MiB"
            ));
        }
    }

    /// berth has counted what was asked, has nothing in hand any more, and has not panicked.
    pub(crate) async fn compare(&self, served: &Served) {
        let begun = Instant::now();
        let found = loop {
            let (_, metrics) = get(served.admin, "/metrics");
            let found = self.differences(&metrics);
            if found.is_empty() || begun.elapsed() > PATIENCE / 3 {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        for difference in found {
            self.problem(difference);
        }
    }

    fn differences(&self, metrics: &str) -> Vec<String> {
        let counts = self.lock();
        let of = |counted| {
            let count = counts.counted.get(&counted).copied().unwrap_or_default();
            f64::from(u32::try_from(count).unwrap())
        };
        let expect = [
            ("berth_admission_requests_total{", of(Counted::Admission)),
            (r#"verb="filter"} "#, of(Counted::Filter)),
            (r#"verb="prioritize"} "#, of(Counted::Prioritize)),
            (r#"verb="preempt"} "#, of(Counted::Preempt)),
            ("berth_requests_refused_total{", of(Counted::Refused)),
            ("berth_requests_in_flight{", 0.0),
            ("berth_panics_total{", 0.0),
        ];
        let differs = |(what, expect): (&str, f64)| {
            let found = if what.starts_with("verb") {
                sum(metrics, "berth_extender_requests_total{", what)
            } else {
                sum(metrics, what, "")
            };
            let what = what.trim_end_matches(['{', '}', ' ']);
            (found.total_cmp(&expect).is_ne())
                .then(|| format!("{what}: berth has {found}, and it has to be {expect}"))
        };
        expect.into_iter().filter_map(differs).collect()
    }

    /// A summary for people.
    pub(crate) fn print(&self) {
        let counts = self.lock();
        for (title, lines) in [("asked", &counts.calls), ("done to it", &counts.events)] {
            println!("\n{title:<34} times");
            for (name, count) in lines {
                println!("  {name:<32} {count}");
            }
        }
        let (warm_up, later, last) = (counts.warm_up, counts.later, counts.last);
        println!(
            "\nresident: {warm_up:.1} MiB at most in the warm-up, {later:.1} MiB after it, {last:.1} MiB at the end"
        );
        for problem in &counts.problems {
            println!("not as it had to be: {problem}");
        }
        if counts.unshown > 0 {
            println!("and {} more", counts.unshown);
        }
    }
}

/// The value of a series.
pub(crate) fn series(metrics: &str, name: &str) -> f64 {
    sum(metrics, &format!("{name} "), "")
}

/// All series of a name together, that have this in their labels.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}
