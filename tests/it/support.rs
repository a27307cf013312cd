//! What the tests share: the captures, the cluster they came from, and a service to ask.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use berth::cluster::{ClusterView, VmiReader, file};
use berth::config::Config;
use berth::domain::Network;
use berth::http::{Metrics, Service, router};
use berth::metrics::Registry;
use berth::peer::{Access, Peer};
use berth::snapshot::ClusterGauges;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::process::PATIENCE;

/// The bytes of a file in `tests/data/captures`.
pub(crate) fn capture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/captures")
        .join(format!("{name}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A capture as JSON.
pub(crate) fn capture_json(name: &str) -> Value {
    serde_json::from_str(&capture(name)).unwrap()
}

/// An input that an earlier version answered wrongly, from `tests/data/faults`.
pub(crate) fn fault(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/faults")
        .join(format!("{name}.json"));
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The cluster that the captures came from.
pub(crate) fn cluster() -> Value {
    capture_json("cluster")
}

/// The view of a cluster.
pub(crate) fn view(cluster: &Value) -> ClusterView {
    view_on(cluster, &Network::default())
}

/// The view of a cluster on this network.
pub(crate) fn view_on(cluster: &Value, network: &Network) -> ClusterView {
    file::parse(&cluster.to_string(), network).unwrap()
}

/// The items of a cluster's list.
pub(crate) fn items(cluster: &mut Value) -> &mut Vec<Value> {
    cluster["items"].as_array_mut().unwrap()
}

/// The item of this kind and name.
pub(crate) fn item<'a>(cluster: &'a mut Value, kind: &str, name: &str) -> &'a mut Value {
    items(cluster)
        .iter_mut()
        .find(|item| item["kind"] == kind && item["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// A service on a cluster.
pub(crate) struct Asked {
    pub(crate) service: Arc<Service>,
    pub(crate) registry: Registry,
}

impl Asked {
    pub(crate) fn new(cluster: &Value, config: &str) -> Self {
        Self::with_reader(cluster, config, None)
    }

    /// As [`Self::new`], beside an API server that is asked for what the view lacks.
    pub(crate) fn with_reader(
        cluster: &Value,
        config: &str,
        reader: Option<Arc<VmiReader>>,
    ) -> Self {
        let config = Config::parse(config).unwrap();
        let registry = Registry::default();
        let view = Arc::new(ArcSwap::from_pointee(view_on(cluster, &config.network())));
        let gauges = ClusterGauges::new(Arc::clone(&view).into(), config.policy());
        registry.collect(gauges.unwrap()).unwrap();
        let service = Service::new(
            view.into(),
            reader,
            None,
            config.policy(),
            Metrics::register(&registry).unwrap(),
            &config.limits,
        );
        Self { service, registry }
    }

    /// Sends a request to the router and returns status and body.
    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = router(Arc::clone(&self.service))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let request = Request::post(path).body(body.into()).unwrap();
        self.send(request).await
    }

    /// As [`Self::post`], for a client of this address.
    pub(crate) async fn post_from(
        &self,
        source: [u8; 4],
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, String) {
        let mut request = Request::post(path).body(body.into()).unwrap();
        request.extensions_mut().insert(Peer {
            address: (source, 4711).into(),
            access: Access::default(),
        });
        self.send(request).await
    }

    /// Posts and expects an answer of the protocol.
    pub(crate) async fn ask(&self, path: &str, body: impl Into<Body>) -> Value {
        let (status, body) = self.post(path, body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The value of a series, written as Prometheus shows it.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.registry.encode().unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
            .unwrap_or_else(|| panic!("no series {series} in\n{text}"))
    }
}

/// Waits until something is true that nobody tells of.
#[track_caller]
pub(crate) fn until(what: &str, is_true: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_true() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(waited.await.is_ok(), "{place}: {what} never came");
    }
}
