//! Runs the scenarios one after another, and says how they went.
//!
//! Not by the test harness of Rust: they share servers, which have to be ended when all is done.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use crate::programs::Programs;
use crate::world::World;

/// A thing that berth promises.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The optional program that it takes.
    pub(crate) needs: Option<&'static str>,
    pub(crate) play: fn(&mut World),
}

/// Of a log after a failure: its last lines, and how much of each.
const SHOWN_LINES: usize = 10;
const SHOWN_WIDTH: usize = 300;

/// Runs those whose names contain an argument of the command line, or all.
pub(crate) fn run(scenarios: &[Scenario]) -> ExitCode {
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let chosen: Vec<&Scenario> = scenarios
        .iter()
        .filter(|scenario| wanted.is_empty() || wanted.iter().any(|w| scenario.name.contains(w)))
        .collect();
    if chosen.is_empty() {
        eprintln!("no scenario is named like {wanted:?}");
        return ExitCode::FAILURE;
    }
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let (chosen, left_out): (Vec<&Scenario>, Vec<&Scenario>) = chosen
        .into_iter()
        .partition(|scenario| scenario.needs.is_none_or(|needed| programs.has(needed)));
    for Scenario { name, needs, .. } in left_out {
        println!(
            "left out {name}: no {} in KUBEBUILDER_ASSETS",
            needs.unwrap_or_default()
        );
    }
    let start = Instant::now();
    let mut world = World::start(programs);
    println!("the control plane runs ({:.1} s)", seconds(start));
    let failed: Vec<&str> = chosen
        .iter()
        .filter(|scenario| !passes(scenario, &mut world))
        .map(|scenario| scenario.name)
        .collect();
    println!(
        "{} of {} scenarios passed in {:.0} s",
        chosen.len() - failed.len(),
        chosen.len(),
        seconds(start)
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let logs = world.keep_logs();
    println!("failed: {failed:?}; the logs are in {}", logs.display());
    ExitCode::FAILURE
}

fn passes(scenario: &Scenario, world: &mut World) -> bool {
    let (start, since) = (Instant::now(), SystemTime::now());
    let name = scenario.name;
    let play = AssertUnwindSafe(|| {
        world.reset();
        (scenario.play)(world);
    });
    let passed = catch_unwind(play).is_ok();
    if passed {
        println!("ok      {name} ({:.1} s)", seconds(start));
    } else {
        show_logs(&crate::plane::logs(world.dir()), since);
        println!("FAILED  {name} ({:.1} s)", seconds(start));
    }
    passed
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// The ends of the logs that were written to.
fn show_logs(logs: &Path, since: SystemTime) {
    for entry in fs::read_dir(logs).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().modified().unwrap() < since {
            continue;
        }
        let text = fs::read(entry.path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        println!("---- {}", entry.file_name().display());
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            println!("{line:.SHOWN_WIDTH$}");
        }
    }
}
