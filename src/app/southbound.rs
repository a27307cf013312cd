//! The southbound database, where it is configured: followed, counted, and waited for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::AppError;
use crate::config::{OnStale, Southbound};
use crate::ovn::session::Subject;
use crate::ovn::{ChassisView, ClientStats, Settings, southbound};
use crate::readiness::{Condition, Readiness};
use crate::snapshot::{Changes, SouthboundStore, Staleness};
use crate::tls::{ClientFiles, Identity};

/// A source of facts, and what keeps it one; with `locality`, also of where networks are local.
pub(super) fn follow(
    config: &Southbound,
    locality: bool,
    readiness: &Arc<Readiness>,
    changes: &Changes,
) -> Result<Option<(SouthboundStore, BoxFuture<'static, ()>)>, AppError> {
    let Some(endpoints) = config.servers().map_err(AppError::Refused)? else {
        return Ok(None);
    };
    readiness.lacks(Condition::Southbound);
    let source = SouthboundStore {
        view: Arc::new(ArcSwap::from_pointee(ChassisView::default())),
        stats: Arc::new(ClientStats::default()),
        staleness: Staleness {
            after: config.stale_after.0,
            rejects: config.on_stale == OnStale::Reject,
        },
    };
    let settings = Settings {
        endpoints,
        tls: tls(config),
        subject: Subject {
            limit: config.max_size.bytes(),
            ..southbound::subject(config.leader_only, locality)
        },
        inactivity: config.inactivity_probe.0,
    };
    let readiness = Arc::clone(readiness);
    let changes = changes.clone();
    let publish = move |_: &ChassisView| {
        readiness.holds(Condition::Southbound);
        changes.southbound_changed();
    };
    let (view, stats) = (Arc::clone(&source.view), Arc::clone(&source.stats));
    let following = southbound::watch(settings, config.allowed_lag.0, view, stats, publish).boxed();
    Ok(Some((source, following)))
}

/// The files that both databases of OVN are reached with.
pub(super) fn tls(config: &Southbound) -> Option<ClientFiles> {
    let identity = config.cert_file.as_ref().zip(config.key_file.as_ref());
    Some(ClientFiles {
        ca: config.ca_file.clone()?,
        identity: identity.map(|(cert, key)| Identity {
            cert: cert.clone(),
            key: key.clone(),
        }),
    })
}
