//! The registry of Prometheus metrics, build information and figures of the process.
//!
//! A component owns its metrics and registers them in the [`Registry`] that it is given. Every label
//! value comes from an enum of that component, except the names of nodes and chassis.

mod named;
#[cfg(target_os = "linux")]
mod process;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Error, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    TextEncoder,
};

pub(crate) use named::NamedGauges;

/// Where components register their metrics; clones are the same registry.
///
/// Every method that registers fails on a name or label that is not valid and on a name that is
/// registered twice: a defect.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    inner: prometheus::Registry,
    /// Collectors fill their metrics while they are gathered: two at once would add to each other's.
    gathering: Arc<Mutex<()>>,
}

impl Registry {
    /// Registers a counter.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.add(IntCounter::new(name, help)?)
    }

    /// Registers counters told apart by labels.
    ///
    /// Their owner makes each series whose labels are known beforehand: a series that appears with its
    /// first event makes that event invisible to `rate()`.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// Registers a counter that is read at each scrape.
    pub fn counter_fn(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let counter = IntCounter::new(name, help)?;
        self.collect(CounterFn { counter, read })
    }

    /// Registers a gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.add(IntGauge::new(name, help)?)
    }

    /// Registers gauges told apart by labels.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// Registers a gauge of a time, which has no series until the time is known.
    pub fn time(&self, name: &str, help: &str) -> Result<TimeGauge, Error> {
        self.gauges(name, help, &[]).map(TimeGauge)
    }

    /// Registers histograms told apart by labels.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(opts, labels)?)
    }

    /// Registers figures that are read at each scrape.
    pub fn collect(&self, collector: impl Collector + 'static) -> Result<(), Error> {
        self.inner.register(Box::new(collector))
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, Error> {
        self.collect(metric.clone())?;
        Ok(metric)
    }

    /// Everything in Prometheus's text format, which takes a while in a large cluster.
    ///
    /// # Errors
    /// A metric without samples or an invalid name: a defect.
    pub fn encode(&self) -> Result<String, Error> {
        let gathering = self.gathering.lock();
        let _alone = gathering.unwrap_or_else(PoisonError::into_inner);
        TextEncoder::new().encode_to_string(&self.inner.gather())
    }
}

/// A gauge of a time in seconds since 1970. Without a time it has no series: 0 would look like 1970.
#[derive(Clone, Debug)]
pub struct TimeGauge(IntGaugeVec);

impl TimeGauge {
    /// Shows this time, or none.
    pub fn set(&self, time: Option<SystemTime>) {
        let labels: [&str; 0] = [];
        match time.and_then(unix_seconds) {
            Some(seconds) => self.0.with_label_values(&labels).set(seconds),
            // An error means that there was no series.
            None => drop(self.0.remove_label_values(&labels)),
        }
    }
}

/// Seconds since 1970; `None` for a time before that.
pub(crate) fn unix_seconds(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

struct CounterFn<F> {
    counter: IntCounter,
    read: F,
}

impl<F: Fn() -> u64 + Send + Sync> Collector for CounterFn<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.counter.reset();
        self.counter.inc_by((self.read)());
        self.counter.collect()
    }
}

/// Registers what is true of the whole process: its version, and the figures of every process.
///
/// # Errors
/// As the methods of [`Registry`].
pub fn register_process(registry: &Registry) -> Result<(), Error> {
    let help = "The version that runs, always 1.";
    let info = registry.gauges("berth_build_info", help, &["version"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    #[cfg(target_os = "linux")]
    registry.collect(process::ProcessCollector::new()?)?;
    Ok(())
}
