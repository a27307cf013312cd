//! What a Service is to its callers: one address, behind which replicas come and go.
//!
//! As with kube-proxy, a new connection goes to one of the replicas that were ready a moment ago, an
//! open one stays where it is, and where none is ready it is refused.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::berth::Berth;
use crate::http;
use crate::relay::Relay;
use crate::wait;

/// Between two looks at a replica.
const PERIOD: Duration = Duration::from_millis(100);

/// From a replica's readiness to the nodes that send it connections.
const LAG: Duration = Duration::from_secs(1);

/// An address that the ready ones of its replicas share.
pub(crate) struct Service {
    relay: Relay,
    replicas: Arc<Mutex<Vec<Replica>>>,
    looking: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
struct Replica {
    https: SocketAddr,
    admin: SocketAddr,
    /// Connections are sent to it.
    published: bool,
    /// Since when that should be otherwise.
    differs: Option<Instant>,
}

impl Service {
    pub(crate) fn start(runtime: &Handle) -> Self {
        let replicas = Arc::<Mutex<Vec<Replica>>>::default();
        let looking = runtime.spawn(look(Arc::clone(&replicas)));
        let shared = Arc::clone(&replicas);
        let mut turn = 0;
        let turns = Mutex::new(move || {
            turn += 1;
            turn
        });
        let relay = Relay::start(runtime, move || {
            let turn: usize = turns.lock().unwrap()();
            let replicas = shared.lock().unwrap();
            let published: Vec<_> = replicas.iter().filter(|r| r.published).collect();
            let chosen = published.get(turn % published.len().max(1));
            chosen.map(|replica| replica.https)
        });
        Self {
            relay,
            replicas,
            looking,
        }
    }

    /// The address.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.relay.port)
    }

    /// Another replica, which gets connections once it is ready.
    pub(crate) fn add(&self, berth: &Berth) {
        self.replicas.lock().unwrap().push(Replica {
            https: berth.https().expect("HTTPS is served"),
            admin: berth.admin,
            published: false,
            differs: None,
        });
    }

    /// Waits until so many replicas get connections.
    pub(crate) fn wait_for(&self, count: usize) {
        wait::until("the replicas are published", || {
            let replicas = self.replicas.lock().unwrap();
            let published = replicas.iter().filter(|r| r.published).count();
            if published == count {
                return Ok(());
            }
            Err(format!("{replicas:?}"))
        });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look(replicas: Arc<Mutex<Vec<Replica>>>) {
    loop {
        let known = replicas.lock().unwrap().clone();
        for Replica { admin, .. } in known {
            let ready = http::get(admin, "/readyz")
                .await
                .is_ok_and(|(status, _)| status == 200);
            let mut replicas = replicas.lock().unwrap();
            for replica in replicas.iter_mut().filter(|r| r.admin == admin) {
                replica.see(ready);
            }
        }
        sleep(PERIOD).await;
    }
}

impl Replica {
    fn see(&mut self, ready: bool) {
        if ready == self.published {
            self.differs = None;
            return;
        }
        let since = *self.differs.get_or_insert_with(Instant::now);
        if since.elapsed() >= LAG {
            self.published = ready;
            self.differs = None;
        }
    }
}
