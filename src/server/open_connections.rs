//! The open connections of a listener, and which one to close at the limit.
//!
//! At the limit, the peer with the most connections loses the one that has been idle for the
//! longest. A peer that opens as many connections as it can therefore does not lock out other
//! peers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use super::activity::Activity;

/// The open connections of a listener.
#[derive(Debug)]
pub(super) struct OpenConnections {
    limit: usize,
    gauge: IntGauge,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    by_id: HashMap<u64, Connection>,
    last_id: u64,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    activity: Arc<Activity>,
}

/// An open connection. It counts against the limit until this is dropped or it is chosen to be
/// closed, and in the gauge until this is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection {
    id: u64,
    of: Arc<OpenConnections>,
}

/// How a connection was admitted.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) connection: OpenConnection,
    /// Whether another connection is closed for it.
    pub(super) in_place_of_another: bool,
}

impl OpenConnections {
    pub(super) fn new(limit: usize, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            limit,
            gauge,
            connections: Mutex::default(),
        })
    }

    /// Admits a connection; `None` at the limit if no other connection may be closed.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        activity: &Arc<Activity>,
    ) -> Option<Admitted> {
        let mut connections = self.lock();
        let in_place_of_another = connections.by_id.len() >= self.limit;
        if in_place_of_another {
            let id = connections.to_displace(address)?;
            // It no longer counts against the limit; its task closes it.
            let leaving = connections.by_id.remove(&id)?;
            leaving.activity.displaced.notify_one();
        }
        connections.last_id += 1;
        let id = connections.last_id;
        let activity = Arc::clone(activity);
        let connection = Connection { address, activity };
        connections.by_id.insert(id, connection);
        self.gauge.inc();
        Some(Admitted {
            connection: OpenConnection {
                id,
                of: Arc::clone(self),
            },
            in_place_of_another,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// The connection to close for a new one from this address.
    fn to_displace(&self, newcomer: IpAddr) -> Option<u64> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.by_id.values() {
            *counts.entry(connection.address).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let of_newcomer = counts.get(&newcomer).copied().unwrap_or(0);
        let of_most = || {
            self.by_id
                .iter()
                .filter(|(_, connection)| counts.get(&connection.address) == Some(&most))
        };
        let idle = of_most().filter_map(|(id, connection)| {
            let since = connection.activity.state().idle_since()?;
            Some((since, *id))
        });
        if let Some((_, id)) = idle.min() {
            return Some(id);
        }
        // All of them have a request. Still close the oldest one if its peer has more connections
        // than the newcomer will have.
        let is_more = most > of_newcomer + 1;
        is_more.then(|| of_most().map(|(id, _)| *id).min())?
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.of.lock().by_id.remove(&self.id);
        self.of.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::activity::InFlight;
    use crate::server::metrics::ListenerMetrics;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// Opens connections one second apart, where `true` means at work, and checks which one is
    /// closed for a newcomer.
    async fn check(name: &str, open: &[(u8, bool)], newcomer: u8, expect: Option<usize>) {
        let metrics = Arc::new(ListenerMetrics::for_test());
        let connections = OpenConnections::new(open.len(), metrics.open.clone());
        let mut held = Vec::new();
        for (last, is_at_work) in open {
            let activity = Activity::new(Arc::clone(&metrics));
            let work = is_at_work.then(|| InFlight::begin(Arc::clone(&activity)));
            let admitted = connections.admit(address(*last), &activity).unwrap();
            assert!(!admitted.in_place_of_another, "{name}");
            held.push((admitted, work));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let activity = Activity::new(Arc::clone(&metrics));
        let admitted = connections.admit(address(newcomer), &activity);
        assert_eq!(
            admitted
                .as_ref()
                .map(|admitted| admitted.in_place_of_another),
            expect.map(|_| true),
            "{name}"
        );
        let is_open = |index: &usize| {
            let id = held[*index].0.connection.id;
            connections.lock().by_id.contains_key(&id)
        };
        let gone: Vec<usize> = (0..open.len()).filter(|index| !is_open(index)).collect();
        assert_eq!(gone, Vec::from_iter(expect), "{name}");
        drop((held, admitted));
        assert!(connections.lock().by_id.is_empty(), "{name}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_idle_connection_of_the_peer_with_the_most_is_closed() {
        const IDLE: bool = false;
        const WORK: bool = true;
        for (name, open, newcomer, expect) in [
            (
                "of another",
                &[(2, IDLE), (1, IDLE), (1, IDLE)][..],
                3,
                Some(1),
            ),
            ("of its own", &[(2, IDLE), (1, IDLE), (1, IDLE)], 1, Some(1)),
            (
                "not at work",
                &[(2, IDLE), (1, WORK), (1, IDLE)],
                3,
                Some(2),
            ),
            (
                "as many of each",
                &[(2, WORK), (1, IDLE), (3, IDLE)],
                4,
                Some(1),
            ),
            (
                "all of the most at work",
                &[(2, IDLE), (1, WORK), (1, WORK)],
                3,
                Some(1),
            ),
            (
                "no more than the newcomer gets",
                &[(2, WORK), (1, WORK)],
                3,
                None,
            ),
            ("its own at work", &[(1, WORK), (1, WORK)], 1, None),
            ("one is allowed", &[(1, IDLE)], 2, Some(0)),
        ] {
            check(name, open, newcomer, expect).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_to_be_closed_is_notified() {
        let metrics = Arc::new(ListenerMetrics::for_test());
        let connections = OpenConnections::new(1, metrics.open.clone());
        let [first, second] = [(); 2].map(|()| Activity::new(Arc::clone(&metrics)));
        let _first = connections.admit(address(1), &first).unwrap();
        let _second = connections.admit(address(2), &second).unwrap();
        first.displaced.notified().await;
    }
}
