//! What a replica counted, as far as a check needs it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Figures of one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metrics {
    /// Its version.
    pub(super) version: Option<String>,
    /// When it started.
    pub(super) started: Option<SystemTime>,
    /// The calls of the filter since then, whatever came of them.
    pub(super) filter_calls: u64,
    /// When the last one of them was answered. Replicas before this metric do not tell.
    pub(super) last_filter_call: Option<SystemTime>,
}

impl Metrics {
    /// Reads the text of `/metrics`. `None` if it is not berth's.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "berth_build_info" => metrics.version = label(labels, "version"),
                "process_start_time_seconds" => metrics.started = seconds(value),
                "berth_extender_requests_total" if is_of_filter(labels) => {
                    metrics.filter_calls += value.parse::<u64>().unwrap_or_default();
                }
                "berth_extender_last_call_timestamp_seconds" if is_of_filter(labels) => {
                    metrics.last_filter_call = seconds(value);
                }
                _ => {}
            }
        }
        metrics.version.is_some().then_some(metrics)
    }
}

fn is_of_filter(labels: &str) -> bool {
    label(labels, "verb").as_deref() == Some("filter")
}

/// The value of a label. None of those that are read has anything escaped in it.
fn label(labels: &str, name: &str) -> Option<String> {
    let mut labels = labels.trim_end_matches('}').split(',');
    let value = labels.find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""))?;
    Some(value.trim_end_matches('"').to_owned())
}

fn seconds(value: &str) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(value.parse().ok()?).ok()?;
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_the_start_and_the_calls_of_the_filter_are_read() {
        let text = "# HELP berth_build_info Build.\n\
            berth_build_info{version=\"0.1.0\"} 1\n\
            berth_extender_requests_total{outcome=\"judged\",verb=\"filter\"} 3\n\
            berth_extender_requests_total{outcome=\"not_guarded\",verb=\"filter\"} 4\n\
            berth_extender_requests_total{outcome=\"judged\",verb=\"prioritize\"} 5\n\
            berth_extender_last_call_timestamp_seconds{verb=\"filter\"} 1700000060\n\
            berth_extender_last_call_timestamp_seconds{verb=\"preempt\"} 1700000090\n\
            process_start_time_seconds 1700000000.5\n";
        let metrics = Metrics::read(text).unwrap();
        assert_eq!(
            metrics,
            Metrics {
                version: Some("0.1.0".to_owned()),
                started: Some(UNIX_EPOCH + Duration::from_millis(1_700_000_000_500)),
                filter_calls: 7,
                last_filter_call: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_060)),
            }
        );
        for other in ["", "up 1\n", "<html>"] {
            assert_eq!(Metrics::read(other), None, "{other}");
        }
    }
}
