//! The stand-in for the API server behaves to kube's client as the real one does.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::apiserver::{ApiServer, Verb};

/// kube's client by way of the kubeconfig that the server writes.
async fn client(server: &ApiServer) -> Client {
    let dir = tempfile::tempdir().unwrap();
    let file = Kubeconfig::read_from(server.kubeconfig(dir.path())).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options);
    Client::try_from(config.await.unwrap()).unwrap()
}

fn node(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels },
        "spec": { "podCIDR": "10.0.0.0/24" },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

fn vmi(name: &str) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
        "metadata": { "name": name, "namespace": "default" },
        "status": { "phase": "Running" },
    })
}

fn vmis(client: Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("kubevirt.io", "v1", "VirtualMachineInstance");
    Api::namespaced_with(client, "default", &ApiResource::from_gvk(&kind))
}

/// The events of a watcher, in a form that can be compared.
struct Watched<K>(Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>>>>);

impl<K> Watched<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
{
    fn new(api: Api<K>, config: watcher::Config) -> Self {
        Self(Box::pin(watcher(api, config)))
    }

    async fn next(&mut self) -> String {
        match self.0.next().await.unwrap() {
            Ok(event) => event.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    async fn sees<const N: usize>(&mut self, expected: [&str; N]) {
        for expected in expected {
            assert_eq!(self.next().await, expected);
        }
    }
}

#[tokio::test]
async fn a_watcher_sees_what_is_there_and_what_changes() {
    let server = ApiServer::start();
    server.apply(node("a", &json!({})));
    let api: Api<Node> = Api::all(client(&server).await);
    let mut watched = Watched::new(api, watcher::Config::default());
    watched.sees(["Init", "InitApply(a)", "InitDone"]).await;
    server.apply(node("b", &json!({})));
    server.apply(node("a", &json!({ "changed": "yes" })));
    server.delete("nodes", None, "b");
    watched.sees(["Apply(b)", "Apply(a)", "Delete(b)"]).await;
    server
        .wait_for(1, |request| request.is(Verb::Watch, "nodes"))
        .await;
}

#[tokio::test]
async fn custom_resources_are_listed_and_watched() {
    let server = ApiServer::start();
    server.apply(vmi("web"));
    let mut watched = Watched::new(vmis(client(&server).await), watcher::Config::default());
    watched.sees(["Init", "InitApply(web)", "InitDone"]).await;
}

#[tokio::test]
async fn objects_are_created_read_changed_and_deleted() {
    let server = ApiServer::start();
    let api: Api<Pod> = Api::namespaced(client(&server).await, "default");
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "generateName": "web-" }, "spec": { "containers": [] },
    }))
    .unwrap();
    let created = api.create(&PostParams::default(), &pod).await.unwrap();
    let name = created.name_any();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());

    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let patched = api.patch(&name, &PatchParams::default(), &patch).await;
    assert_eq!(patched.unwrap().labels()["a"], "b");
    let stale = api.replace(&name, &PostParams::default(), &created).await;
    assert!(matches!(stale, Err(kube::Error::Api(status)) if status.is_conflict()));
    let again = api.get(&name).await.unwrap();
    api.replace(&name, &PostParams::default(), &again)
        .await
        .unwrap();

    let listed = api
        .list(&ListParams::default().labels("a=b"))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    assert_eq!(
        api.get_opt(&name).await.unwrap().map(|pod| pod.name_any()),
        None
    );
}
