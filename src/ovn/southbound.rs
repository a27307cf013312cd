//! The southbound database, followed: every change of it becomes the view that requests read.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::ovn::client::{Settings, Told, replicate};
use crate::ovn::locality::is_lost;
use crate::ovn::schema::Wanted;
use crate::ovn::session::Subject;
use crate::ovn::stats::ClientStats;
use crate::ovn::{ChassisIndex, ChassisView, LocalityIndex, Problem, chassis, locality};

/// The chassis alone.
const CHASSIS: [Wanted; 4] = chassis::WANTED;

/// The chassis, and every port.
const ALL: [Wanted; 5] = [
    CHASSIS[0],
    CHASSIS[1],
    CHASSIS[2],
    CHASSIS[3],
    locality::WANTED,
];

/// What is followed of it: every chassis and, where somebody wants to know what is local there, every
/// port, of which there are many more.
#[must_use]
pub const fn subject(leader_only: bool, locality: bool) -> Subject {
    Subject {
        database: "OVN_Southbound",
        wanted: if locality { &ALL } else { &CHASSIS },
        leader_only,
    }
}

/// Follows the database for ever, and replaces `view` at every change. `publish` is told of each new
/// view, in order, except where ports alone have changed: these come by the thousand, and let nobody
/// pass. While no server is to be had the last view stays.
pub async fn watch(
    settings: Settings,
    allowed_lag: Duration,
    view: Arc<ArcSwap<ChassisView>>,
    stats: Arc<ClientStats>,
    mut publish: impl FnMut(&ChassisView) + Send,
) {
    let follows_ports = settings.subject.wanted.contains(&locality::WANTED);
    let mut index = ChassisIndex::new(allowed_lag);
    let mut ports = LocalityIndex::default();
    let mut lacking = Vec::new();
    let told = move |told: Told<'_>| {
        let now = Instant::now().into_std();
        let is_news = match told {
            Told::Synced { changes, missing } => {
                index.synced(changes, missing, now);
                if follows_ports {
                    ports.synced(changes, missing);
                }
                if lacking != missing {
                    lacking = missing.to_vec();
                    for column in missing {
                        tracing::warn!(%column, "the southbound database has no such table or column");
                    }
                    if is_lost(missing) {
                        tracing::warn!(
                            "the southbound database can't tell where networks are local, and no score counts it"
                        );
                    }
                    for check in chassis::not_judged(missing).iter().map(Problem::name) {
                        tracing::warn!(
                            check,
                            "the southbound database can't tell, and the check is off"
                        );
                    }
                }
                true
            }
            Told::Changed(changes) => {
                ports.changed(changes);
                index.changed(changes, now)
            }
            Told::Lost => {
                index.lost(now);
                true
            }
        };
        let next = Arc::new(index.view().with_locality(ports.view()));
        view.store(Arc::clone(&next));
        if is_news {
            publish(&next);
        }
    };
    replicate(settings, stats, told).await;
}
