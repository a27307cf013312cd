//! The southbound database, followed: every change of it becomes the view that requests read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ovsdb::{ClientEvent, ClientOptions, Missing, MonitorSpec, follow};
use tokio::time::{Instant, sleep};

use crate::decide::checks::Check;
use crate::ovn::connection::{ConnectionLog, ConnectionMetrics};
use crate::ovn::locality::is_lost;
use crate::ovn::{ChassisIndex, ChassisView, LocalityIndex, chassis, locality};

/// How often the log looks whether lags count: they grow while the database does not change.
const TICK: Duration = Duration::from_secs(1);

/// What is followed: every chassis and, where `locality` counts, every port, of which there are many
/// more.
#[must_use]
pub const fn spec(leader_only: bool, locality: bool) -> MonitorSpec {
    MonitorSpec {
        large_tables: if locality { locality::TABLES } else { &[] },
        leader_only,
        ..MonitorSpec::new("OVN_Southbound", &chassis::WANTED)
    }
}

/// Follows the database until the future is dropped, and replaces `view` at every change. Calls
/// `publish` with each new view, in order, unless only ports have changed that do not migrate: there are
/// thousands of such changes, and ports do not decide which nodes pass. While no server is followed, the last
/// view stays.
pub async fn watch(
    options: ClientOptions,
    spec: MonitorSpec,
    allowed_lag: Duration,
    view: Arc<ArcSwap<ChassisView>>,
    connection: Arc<ConnectionMetrics>,
    mut publish: impl FnMut(&ChassisView) + Send,
) {
    let looked_at = Arc::clone(&view);
    let follows_ports = spec.large_tables.contains(&locality::WANTED);
    let mut index = ChassisIndex::new(allowed_lag);
    let mut ports = LocalityIndex::default();
    let mut lacking = Vec::new();
    let mut log = ConnectionLog::default();
    let on_event = move |event: ClientEvent<'_>| {
        connection.observe(&event);
        log.write(spec.database, &event);
        let now = Instant::now().into_std();
        let is_news = match event {
            ClientEvent::Synced {
                changes, missing, ..
            } => {
                index.synced(changes, missing, now);
                if follows_ports {
                    ports.synced(changes, missing);
                }
                if lacking != missing {
                    lacking = missing.to_vec();
                    warn_of_missing(missing);
                }
                true
            }
            ClientEvent::Changed(changes) => {
                let is_news = ports.changed(changes);
                index.changed(changes, now) | is_news
            }
            ClientEvent::Failed {
                synced_for: Some(_),
                ..
            } => {
                index.lost(now);
                true
            }
            ClientEvent::Connected(_) | ClientEvent::Answered | ClientEvent::Failed { .. } => {
                return;
            }
        };
        let next = Arc::new(ChassisView {
            locality: ports.view(),
            ..index.view()
        });
        view.store(Arc::clone(&next));
        if is_news {
            publish(&next);
        }
    };
    tokio::select! {
        never = follow(options, spec, on_event) => match never {},
        never = tell_whether_lags_count(&looked_at) => match never {},
    }
}

fn warn_of_missing(missing: &[Missing]) {
    for column in missing {
        tracing::warn!(%column, "the southbound database has no such table or column");
    }
    if is_lost(missing) {
        tracing::warn!(
            "the southbound database can't tell where networks are local, and no score counts it"
        );
    }
    for check in chassis::not_judged(missing).iter().map(Check::name) {
        tracing::warn!(
            check,
            "the southbound database can't tell, and the check is off"
        );
    }
}

/// Says once what keeps lags from counting, and that they count again.
async fn tell_whether_lags_count(view: &ArcSwap<ChassisView>) -> Infallible {
    let check = Check::ChassisNotResponding.name();
    let (mut off, mut stands_still) = (false, false);
    loop {
        let view_now = view.load_full();
        let (was_off, had_stood_still) = (off, stands_still);
        off = view_now.updates_off;
        stands_still = view_now.is_at_standstill(Instant::now().into_std());
        match (was_off, off) {
            (false, true) => tracing::warn!(
                check,
                "the check is off, and dead chassis are not detected: no chassis reports how far it is while NB_Global.options:enable_chassis_nb_cfg_update is false"
            ),
            (true, false) => tracing::info!(
                check,
                "the check is on: chassis report how far they are again, and each has southbound.allowedLag to catch up"
            ),
            _ => {}
        }
        match (had_stood_still, stands_still) {
            (false, true) => tracing::warn!(
                check,
                nb_cfg = view_now.nb_cfg(),
                "all chassis fell behind together: the southbound database, northd or OVN's configuration is at fault and not the nodes, and their verdicts stay until one answers"
            ),
            (true, false) => tracing::info!(check, "not all chassis are behind any more"),
            _ => {}
        }
        sleep(TICK).await;
    }
}
