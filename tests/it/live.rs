//! A watch of a stand-in API server, and what its view comes to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use berth::api;
use berth::cluster::watch::{Scope, watch};
use berth::cluster::{ClusterView, Metrics};
use berth::domain::Network;
use berth::metrics::Registry;
use serde_json::Value;
use tokio::sync::watch as signals;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use crate::apiserver::{ApiServer, Request, Verb};
use crate::support::{cluster, items};

/// How long a test waits for a view before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client as `berth serve --kubeconfig` makes it.
pub(crate) async fn client(server: &ApiServer) -> kube::Client {
    let dir = tempfile::tempdir().unwrap();
    client_of(&server.kubeconfig(dir.path())).await
}

pub(crate) async fn client_of(kubeconfig: &Path) -> kube::Client {
    api::connect(Some(kubeconfig)).await.unwrap().client
}

/// Stores the cluster that the captures came from.
pub(crate) fn load(server: &ApiServer) {
    for item in items(&mut cluster()) {
        server.apply(item.clone());
    }
}

/// An item of that cluster, to change and store again.
pub(crate) fn captured(kind: &str, name: &str) -> Value {
    crate::support::item(&mut cluster(), kind, name).clone()
}

pub(crate) fn watches_of(resource: &'static str) -> impl Fn(&Request) -> bool + Send {
    move |request| request.verb == Verb::Watch && request.resource == resource
}

/// Which pods were asked for once both watches are there: by namespace and label selector.
pub(crate) async fn selected_pods(server: &ApiServer) -> Vec<(Option<String>, String)> {
    server.wait_for(2, watches_of("pods")).await;
    let log = server.log().into_iter();
    let mut selected: Vec<_> = log
        .filter(|request| request.resource == "pods")
        .map(|request| (request.namespace, request.query["labelSelector"].clone()))
        .collect();
    selected.sort();
    selected.dedup();
    selected
}

/// A watch that runs until it is dropped.
pub(crate) struct Watching {
    pub(crate) view: Arc<ArcSwap<ClusterView>>,
    pub(crate) metrics: Arc<Metrics>,
    made: Arc<AtomicUsize>,
    views: signals::Receiver<ClusterView>,
    task: JoinHandle<()>,
}

impl Watching {
    pub(crate) async fn start(server: &ApiServer) -> Self {
        Self::start_with(client(server).await)
    }

    pub(crate) fn start_with(client: kube::Client) -> Self {
        Self::start_on(client, Network::default())
    }

    /// On a cluster with this network.
    pub(crate) fn start_on(client: kube::Client, network: Network) -> Self {
        let view = Arc::new(ArcSwap::from_pointee(ClusterView::default()));
        let metrics = Arc::new(Metrics::register(&Registry::default()).unwrap());
        let (send, views) = signals::channel(ClusterView::default());
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let changed = move |view: &ClusterView| {
            count.fetch_add(1, Relaxed);
            drop(send.send(view.clone()));
        };
        let task = tokio::spawn(watch(
            client,
            network,
            Scope::Cluster,
            Arc::clone(&view),
            Arc::clone(&metrics),
            changed,
        ));
        Self {
            view,
            metrics,
            made,
            views,
            task,
        }
    }

    /// How many views there were so far.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Relaxed)
    }

    /// Waits for a view of which this is true.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_true: impl Fn(&ClusterView) -> bool,
    ) -> ClusterView {
        let waited = timeout(PATIENCE, self.views.wait_for(is_true)).await;
        waited.expect(what).unwrap().clone()
    }

    pub(crate) async fn until_complete(&mut self) -> ClusterView {
        self.until("complete", ClusterView::is_complete).await
    }

    /// Waits for the end of what runs for ever.
    pub(crate) async fn ended(mut self) -> Result<(), JoinError> {
        let ended = timeout(PATIENCE, &mut self.task).await;
        ended.expect("it goes on")
    }

    /// Waits for a count that no view tells of.
    pub(crate) async fn until_counted(&self, what: &str, is_true: impl Fn(&Metrics) -> bool) {
        let counted = async {
            while !is_true(&self.metrics) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, counted).await.expect(what);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}
