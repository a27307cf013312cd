//! Figures of the process itself, under the names that every Prometheus client library gives them.
//!
//! The `process` feature of the prometheus crate tells the same, and brings procfs and a second rustix.

use std::fs;
use std::io;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// What `/proc/self` tells, read at each scrape.
pub(super) struct ProcessCollector {
    cpu: Counter,
    open_files: IntGauge,
    open_files_limit: IntGauge,
    virtual_memory: IntGauge,
    resident_memory: IntGauge,
    start_time: IntGauge,
    threads: IntGauge,
}

impl ProcessCollector {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )?,
            open_files: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            open_files_limit: IntGauge::new(
                "process_max_fds",
                "Maximum number of open file descriptors.",
            )?,
            virtual_memory: IntGauge::new(
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
            )?,
            resident_memory: IntGauge::new(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            start_time: IntGauge::new(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            )?,
            threads: IntGauge::new("process_threads", "Number of OS threads in the process.")?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 7] {
        let Self {
            cpu,
            open_files,
            open_files_limit,
            virtual_memory,
            resident_memory,
            start_time,
            threads,
        } = self;
        [
            cpu,
            open_files,
            open_files_limit,
            virtual_memory,
            resident_memory,
            start_time,
            threads,
        ]
    }

    /// A figure that can't be read keeps its last value.
    fn update(&self) -> io::Result<()> {
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            self.open_files_limit.set(whole(limit));
        }
        let stat = fs::read_to_string("/proc/self/stat")?;
        if let Some(stat) = Stat::parse(&stat) {
            let ticks = clock_ticks_per_second();
            let cpu = seconds(stat.cpu_ticks, ticks);
            self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
            self.virtual_memory.set(whole(stat.virtual_bytes));
            let page = u64::try_from(page_size()).unwrap_or(u64::MAX);
            self.resident_memory
                .set(whole(stat.resident_pages.saturating_mul(page)));
            self.threads.set(whole(stat.threads));
            if let Some(boot) = boot_time(&fs::read_to_string("/proc/stat")?) {
                self.start_time
                    .set(whole(boot + stat.start_ticks / ticks.max(1)));
            }
        }
        self.open_files
            .set(whole(fs::read_dir("/proc/self/fd")?.count() as u64));
        Ok(())
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().iter().flat_map(|part| part.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Err(error) = self.update() {
            tracing::debug!("/proc can't be read: {error}");
        }
        self.parts()
            .iter()
            .flat_map(|part| part.collect())
            .collect()
    }
}

/// The fields of `/proc/PID/stat` that are told (proc(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// User and system time, in clock ticks.
    cpu_ticks: u64,
    threads: u64,
    /// From the system's boot to the start of the process, in clock ticks.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold spaces and parentheses.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields are numbered from 1 in proc(5), and the first one here is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The time of the system's boot in `/proc/stat`, in seconds since 1970.
fn boot_time(stat: &str) -> Option<u64> {
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    boot.trim().parse().ok()
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Clock ticks in seconds; Prometheus' numbers are floats.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact for 2^53 ticks, which are millions of years"
)]
fn seconds(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_after_the_name_whatever_the_name_holds() {
        let rest = "S 1 42 42 0 -1 4194560 2501 0 12 0 150 30 0 0 20 0 5 0 98765 231333888 4321 \
                    18446744073709551615 1 1 0 0 0 0 0 4096 17642 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0";
        let expect = Stat {
            cpu_ticks: 180,
            threads: 5,
            start_ticks: 98_765,
            virtual_bytes: 231_333_888,
            resident_pages: 4321,
        };
        for name in ["berth", "a b) R 7", ")", ""] {
            assert_eq!(
                Stat::parse(&format!("42 ({name}) {rest}")).as_ref(),
                Some(&expect)
            );
        }
        for short in ["", "42 (berth", "42 (berth) S 1", "42 (berth) S 1 x"] {
            assert_eq!(Stat::parse(short), None, "{short}");
        }
    }

    #[test]
    fn boot_time_is_a_line_of_its_own() {
        let stat = "cpu  1 2 3\nctxt 77\nbtime 1764291372\nprocesses 9\n";
        assert_eq!(boot_time(stat), Some(1_764_291_372));
        assert_eq!(boot_time("cpu 1\n"), None);
    }

    #[test]
    fn every_figure_is_told_of_a_running_process() {
        let families = ProcessCollector::new().unwrap().collect();
        let told: Vec<(&str, bool)> = families
            .iter()
            .map(|family| {
                let metric = &family.get_metric()[0];
                let value = metric.get_gauge().get_value() + metric.get_counter().get_value();
                // This process may not have used a clock tick yet.
                (
                    family.name(),
                    value > 0.0 || family.name() == "process_cpu_seconds_total",
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("process_cpu_seconds_total", true),
                ("process_open_fds", true),
                ("process_max_fds", true),
                ("process_virtual_memory_bytes", true),
                ("process_resident_memory_bytes", true),
                ("process_start_time_seconds", true),
                ("process_threads", true),
            ]
        );
    }
}
