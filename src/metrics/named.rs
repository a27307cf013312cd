//! Gauges of a thousand names, made as what is encoded: a vector of gauges would allocate each one
//! several times, at every scrape.

use std::collections::HashMap;

use prometheus::core::Desc;
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A gauge with one label, whose values are not known beforehand.
#[derive(Debug)]
pub(crate) struct NamedGauges {
    desc: Desc,
    label: &'static str,
}

impl NamedGauges {
    pub(crate) fn new(
        name: &str,
        help: &str,
        label: &'static str,
    ) -> Result<Self, prometheus::Error> {
        let labels = vec![label.to_owned()];
        Ok(Self {
            desc: Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?,
            label,
        })
    }

    pub(crate) fn desc(&self) -> &Desc {
        &self.desc
    }

    /// The gauges of one scrape, to be added.
    pub(crate) fn family(&self) -> NamedFamily<'_> {
        NamedFamily {
            gauges: self,
            metrics: Vec::new(),
        }
    }
}

/// The gauges of one scrape.
pub(crate) struct NamedFamily<'a> {
    gauges: &'a NamedGauges,
    metrics: Vec<Metric>,
}

impl NamedFamily<'_> {
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        let mut label = LabelPair::default();
        label.set_name(self.gauges.label.to_owned());
        label.set_value(name.to_owned());
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(vec![label]);
        metric.set_gauge(gauge);
        self.metrics.push(metric);
    }
}

impl From<NamedFamily<'_>> for MetricFamily {
    fn from(family: NamedFamily<'_>) -> Self {
        let NamedFamily { gauges, metrics } = family;
        let mut family = Self::default();
        family.set_name(gauges.desc.fq_name.clone());
        family.set_help(gauges.desc.help.clone());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(metrics);
        family
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn gauges_are_encoded_by_name() {
        let gauges = NamedGauges::new("berth_lag", "How far.", "node").unwrap();
        let mut family = gauges.family();
        family.add("a", 1.0);
        family.add("b \"quoted\"", 0.25);
        let text = TextEncoder::new().encode_to_string(&[family.into()]);
        assert_eq!(
            text.unwrap(),
            "# HELP berth_lag How far.\n# TYPE berth_lag gauge\nberth_lag{node=\"a\"} 1\nberth_lag{node=\"b \\\"quoted\\\"\"} 0.25\n"
        );
    }
}
