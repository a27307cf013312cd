//! The southbound database, followed: every change of it becomes the view that requests read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::ovn::chassis::{WANTED, not_judged};
use crate::ovn::client::{Settings, Told, replicate};
use crate::ovn::session::Subject;
use crate::ovn::stats::ClientStats;
use crate::ovn::{ChassisIndex, ChassisView, Problem};

/// What is followed of it.
#[must_use]
pub const fn subject(leader_only: bool) -> Subject {
    Subject {
        database: "OVN_Southbound",
        wanted: &WANTED,
        leader_only,
    }
}

/// Follows the database for ever, and replaces `view` at every change. `publish` is told of each new
/// view, in order. While no server is to be had the last view stays.
pub async fn watch(
    settings: Settings,
    view: Arc<ArcSwap<ChassisView>>,
    stats: Arc<ClientStats>,
    mut publish: impl FnMut(&ChassisView) + Send,
) {
    let mut index = ChassisIndex::default();
    let mut lacking = Vec::new();
    let told = move |told: Told<'_>| {
        let now = Instant::now().into_std();
        match told {
            Told::Synced { changes, missing } => {
                index.synced(changes, missing, now);
                if lacking != missing {
                    lacking = missing.to_vec();
                    for column in missing {
                        tracing::warn!(%column, "the southbound database has no such table or column");
                    }
                    for check in not_judged(missing).iter().map(Problem::name) {
                        tracing::warn!(
                            check,
                            "the southbound database can't tell, and the check is off"
                        );
                    }
                }
            }
            Told::Changed(changes) => index.changed(changes, now),
            Told::Lost => index.lost(now),
        }
        let next = Arc::new(index.view());
        view.store(Arc::clone(&next));
        publish(&next);
    };
    replicate(settings, stats, told).await;
}
