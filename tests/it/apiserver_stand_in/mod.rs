//! The stand-in for the API server behaves to kube's client as the real one does.

mod captured;
mod faults;
mod questions;
mod reads;
mod watches;
mod writes;

use std::fmt::Debug;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::apiserver::ApiServer;

/// kube's client by way of the kubeconfig that the server writes.
async fn client(server: &ApiServer) -> Client {
    let dir = tempfile::tempdir().unwrap();
    let file = Kubeconfig::read_from(server.kubeconfig(dir.path())).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options);
    let mut config = config.await.unwrap();
    // Or it would try 429, 503 and 504 up to fifteen times before it says so.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn nodes(server: &ApiServer) -> Api<Node> {
    Api::all(client(server).await)
}

async fn vmis(server: &ApiServer) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("kubevirt.io", "v1", "VirtualMachineInstance");
    let resource = ApiResource::from_gvk(&kind);
    Api::namespaced_with(client(server).await, "default", &resource)
}

fn node(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": labels },
    })
}

fn vmi(name: &str) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": { "name": name, "namespace": "default" },
    })
}

fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "nodeName": node, "containers": [] },
        "status": { "phase": "Running" },
    })
}

/// The HTTP status that kube's client was answered with.
fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        error => panic!("{error:?}"),
    }
}

/// What a watcher sees, in a form that can be compared. It is a step ahead of who reads it.
struct Watched(mpsc::Receiver<String>);

impl Watched {
    fn new<K>(api: Api<K>, config: watcher::Config) -> Self
    where
        K: kube::Resource + Clone + Debug + Send + DeserializeOwned + 'static,
    {
        let (seen, watched) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, config));
            while let Some(event) = events.next().await {
                if seen.send(describe(event)).await.is_err() {
                    break;
                }
            }
        });
        Self(watched)
    }

    async fn next(&mut self) -> String {
        self.0.recv().await.unwrap()
    }

    async fn sees<const N: usize>(&mut self, expected: [&str; N]) {
        for expected in expected {
            assert_eq!(self.next().await, expected);
        }
    }

    /// Waits for something other than what it sees again and again.
    async fn sees_after(&mut self, again: &str, expected: &str) {
        let mut seen = self.next().await;
        while seen == again {
            seen = self.next().await;
        }
        assert_eq!(seen, expected);
    }

    /// Whether it has nothing to say right now.
    fn is_silent(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

fn describe<K: kube::Resource>(event: watcher::Result<Event<K>>) -> String {
    let failed = |what: &str, error: &kube::Error| match error {
        kube::Error::Api(status) => format!("{what}: {}", status.code),
        _ => format!("{what}: no answer"),
    };
    match event {
        Ok(event) => event.to_string(),
        Err(watcher::Error::WatchError(status)) => format!("event: {}", status.reason),
        Err(watcher::Error::InitialListFailed(error)) => failed("list", &error),
        Err(watcher::Error::WatchStartFailed(error)) => failed("watch", &error),
        Err(watcher::Error::WatchFailed(_)) => "bad event".to_owned(),
        Err(error) => error.to_string(),
    }
}
