//! What the southbound database tells of each chassis, and how much it counts.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts};

use crate::metrics::NamedGauges;
use crate::snapshot::SouthboundStore;

/// Reads the view, and the age of it, at every scrape.
pub struct SouthboundGauges {
    source: SouthboundStore,
    rejects_when_stale: bool,
    silence: Gauge,
    standing: IntGaugeVec,
    chassis: IntGauge,
    ports: IntGauge,
    standstill: IntGauge,
    lag: NamedGauges,
    response: NamedGauges,
}

impl SouthboundGauges {
    /// Registers nothing yet. `rejects_when_stale` says what a stale database does.
    ///
    /// # Errors
    /// A name or label that is not valid: a defect.
    pub fn new(
        source: SouthboundStore,
        rejects_when_stale: bool,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            source,
            rejects_when_stale,
            silence: Gauge::new(
                "berth_southbound_silence_seconds",
                "Since when nothing was heard of the southbound database; -1 before it first was.",
            )?,
            standing: IntGaugeVec::new(
                Opts::new(
                    "berth_southbound_standing",
                    "How much the southbound database counts: fresh, left_out or rejects (southbound.onStale); 1 for the one that holds.",
                ),
                &["standing"],
            )?,
            chassis: IntGauge::new(
                "berth_southbound_chassis",
                "Chassis in the southbound database.",
            )?,
            ports: IntGauge::new(
                "berth_southbound_ports",
                "Ports in the southbound database; 0 where no score counts what is local.",
            )?,
            standstill: IntGauge::new(
                "berth_southbound_standstill",
                "Whether all chassis that ever answered fell behind together (1), so that what was judged of each by its lag before stays, or not (0).",
            )?,
            lag: NamedGauges::new(
                "berth_chassis_lag_seconds",
                "For how long a chassis is behind the southbound database; one that is not has no series.",
                "chassis",
            )?,
            response: NamedGauges::new(
                "berth_chassis_response_seconds",
                "How long a chassis took to answer, in the mean of the last times; one that was not asked has no series.",
                "chassis",
            )?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 5] {
        [
            &self.silence,
            &self.standing,
            &self.chassis,
            &self.ports,
            &self.standstill,
        ]
    }
}

impl Collector for SouthboundGauges {
    fn desc(&self) -> Vec<&Desc> {
        let named = [self.lag.desc(), self.response.desc()];
        let parts = self.parts().into_iter().flat_map(Collector::desc);
        parts.chain(named).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let SouthboundStore {
            view, connection, ..
        } = &self.source;
        let view = view.load();
        let now = tokio::time::Instant::now().into_std();
        let silence = connection.silence();
        self.silence
            .set(silence.map_or(-1.0, |silence| silence.as_secs_f64()));
        let (is_fresh, rejects) = (self.source.is_fresh(), self.rejects_when_stale);
        for (standing, holds) in [
            ("fresh", is_fresh),
            ("left_out", !is_fresh && !rejects),
            ("rejects", !is_fresh && rejects),
        ] {
            let gauge = self.standing.with_label_values(&[standing]);
            gauge.set(i64::from(holds));
        }
        self.chassis
            .set(i64::try_from(view.count()).unwrap_or(i64::MAX));
        self.ports
            .set(i64::try_from(view.locality.ports()).unwrap_or(i64::MAX));
        self.standstill.set(i64::from(view.is_at_standstill(now)));
        let mut lags = self.lag.family();
        let mut responses = self.response.family();
        for (name, chassis) in view.iter() {
            if let Some(lag) = view.lag(chassis, now) {
                lags.add(name, lag.time.as_secs_f64());
            }
            if let Some(response) = view.response(chassis) {
                responses.add(name, response.mean.as_secs_f64());
            }
        }
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .chain([lags.into(), responses.into()])
            .collect()
    }
}
