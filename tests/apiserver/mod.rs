//! A stand-in for kube-apiserver: what its clients can see of it, and what can go wrong with it.
//!
//! It keeps everything in memory, checks no schema, runs no controller, tracks no field managers, and has no more
//! admission than `admission` says. [`ApiServer`] is the handle; all ends when it is dropped.

mod admission;
mod answer;
mod binding;
mod body;
mod delete;
mod discovery;
mod event;
mod faults;
mod form;
mod forward;
mod given;
mod kinds;
mod list;
mod object;
mod patch;
mod reply;
mod request;
mod review;
mod selector;
mod serve;
mod shared;
mod status;
mod store;
mod watch;
mod write;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use faults::Fault;
use kinds::Kind;
pub(crate) use request::{Request, Verb};
use serve::Listening;
use shared::{Shared, State};
use watch::Cut;

/// How long a test waits for a client before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Resources are named by their plural, as `nodes` or `events.events.k8s.io`.
pub(crate) struct ApiServer {
    shared: Arc<Shared>,
    listening: Listening,
}

/// Running it.
impl ApiServer {
    /// Serves an empty cluster with KubeVirt's kinds on a free port.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::new());
        let listening = Listening::start(Arc::clone(&shared)).unwrap();
        Self { shared, listening }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Writes a kubeconfig into a folder, with the token that is asked for.
    pub(crate) fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let token = self.shared.lock().token.clone();
        let user = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "stand-in", "cluster": { "server": self.url() } }],
            "users": [{ "name": "berth", "user": user }],
            "contexts": [{ "name": "it", "context": { "cluster": "stand-in", "user": "berth" } }],
            "current-context": "it",
        });
        let path = dir.join("kubeconfig.yaml");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// Refuses connections and closes those there are. What is stored stays.
    pub(crate) fn stop(&mut self) {
        self.listening.close().unwrap();
    }

    /// Serves on the same port again.
    pub(crate) fn restart(&mut self) {
        self.listening.open().unwrap();
    }

    /// Asks for this bearer token from now on.
    pub(crate) fn require_token(&self, token: &str) {
        self.shared.lock().token = Some(token.to_owned());
    }
}

/// What is stored.
impl ApiServer {
    /// Stores an object whole, status and all, over the one of its name if there is one. What the
    /// server gives is only given if it is missing.
    pub(crate) fn apply(&self, mut object: Value) {
        let kind = Kind::of(
            object["apiVersion"].as_str().unwrap(),
            object["kind"].as_str().unwrap(),
        );
        let namespace = object["metadata"]["namespace"].as_str();
        let key = kind.key(namespace, object["metadata"]["name"].as_str().unwrap());
        self.shared.change(|state| {
            let before = state.store.get(kind, &key).map(|before| before.value());
            let before = before.unwrap_or_default();
            let revision = state.store.revision();
            let metadata = &mut object["metadata"];
            for (field, fresh) in [
                ("uid", given::uid(revision)),
                ("creationTimestamp", given::now()),
            ] {
                if metadata[field].is_null() {
                    let before = before["metadata"][field].as_str();
                    metadata[field] = before.unwrap_or(&fresh).into();
                }
            }
            state.store.put(kind, object);
        });
    }

    /// Stores any JSON at all. The key is the place in lists, `namespace/name` or `name`.
    pub(crate) fn put_raw(&self, resource: &str, key: &str, json: &Value) {
        let kind = Kind::named(resource);
        self.shared
            .change(|state| state.store.put_raw(kind, key, json));
    }

    /// Deletes at once, whatever finalizers say.
    pub(crate) fn delete(&self, resource: &str, namespace: Option<&str>, name: &str) {
        let kind = Kind::named(resource);
        let key = kind.key(namespace, name);
        let deleted = self.shared.change(|state| state.store.remove(kind, &key));
        assert!(deleted.is_some(), "there is no {resource} {key}");
    }

    pub(crate) fn get(&self, resource: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        let kind = Kind::named(resource);
        let object = self
            .shared
            .lock()
            .store
            .get(kind, &kind.key(namespace, name));
        object.map(|object| object.value())
    }

    /// Takes a custom resource and its objects away, as when its definition is deleted.
    pub(crate) fn uninstall(&self, resource: &str) {
        let kind = Kind::named(resource);
        self.shared.change(|state| state.store.uninstall(kind));
    }

    /// Serves a custom resource that was taken away.
    pub(crate) fn install(&self, resource: &str) {
        let kind = Kind::named(resource);
        self.shared.change(|state| state.store.install(kind));
    }
}

/// What goes wrong.
impl ApiServer {
    /// Adds a fault; the one that was added first strikes first.
    pub(crate) fn fail(&self, fault: Fault) {
        self.shared.change(|state| state.faults.add(fault));
    }

    /// Takes all faults away. Requests that hang are answered.
    pub(crate) fn heal(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// Answers 403 as RBAC would. The resource may have a subresource: `nodes/status`.
    pub(crate) fn deny(&self, verb: Verb, resource: &str) {
        self.shared
            .change(|state| state.faults.deny(verb, resource));
    }

    /// Says of every service account that it may not do this.
    pub(crate) fn deny_accounts(&self, verb: Verb, resource: &str) {
        self.shared
            .change(|state| state.faults.deny_accounts(verb, resource));
    }

    /// Keeps the webhooks that are stored from answering, until it is taken back.
    pub(crate) fn silence_webhooks(&self, silent: bool) {
        self.shared.change(|state| state.webhooks_answer = !silent);
    }

    /// Runs another release of Kubernetes, as `v1.29.0`.
    pub(crate) fn set_release(&self, release: &str) {
        self.shared
            .change(|state| release.clone_into(&mut state.release));
    }

    /// Forwards ports of a pod to an address, or to nobody.
    pub(crate) fn forward(&self, namespace: &str, pod: &str, address: Option<SocketAddr>) {
        let key = format!("{namespace}/{pod}");
        self.shared.change(|state| match address {
            Some(address) => state.forwards.insert(key, address),
            None => state.forwards.remove(&key),
        });
    }

    pub(crate) fn allow(&self, verb: Verb, resource: &str) {
        self.shared
            .change(|state| state.faults.allow(verb, resource));
    }

    /// Closes the connection of every watch, without an end to its body. What happened before is
    /// still sent.
    pub(crate) async fn cut_watches(&self) {
        self.cut(Cut::BetweenLines).await;
    }

    /// The same after half an event.
    pub(crate) async fn cut_watches_in_a_line(&self) {
        self.cut(Cut::InALine).await;
    }

    async fn cut(&self, cut: Cut) {
        self.shared.change(|state| state.watches.cut(cut));
        self.wait(|state| state.watches.are_cut()).await;
    }

    /// Keeps watches silent on connections that stay open, until it is taken back.
    pub(crate) fn stall_watches(&self, stalled: bool) {
        self.shared.change(|state| state.watches.stalled = stalled);
    }

    /// Forgets all states but the present: an older resourceVersion is 410.
    pub(crate) fn compact(&self) {
        self.shared.change(|state| state.store.compact());
    }

    /// Refuses a watch from a forgotten state with HTTP 410, not with an event after 200.
    pub(crate) fn refuse_expired_watches(&self) {
        self.shared
            .change(|state| state.watches.refuse_expired = true);
    }

    /// Sends a bookmark on every watch that allows them.
    pub(crate) fn bookmark(&self) {
        self.shared.change(|state| state.watches.bookmark());
    }
}

/// What was asked.
impl ApiServer {
    pub(crate) fn log(&self) -> Vec<Request> {
        self.shared.lock().log.clone()
    }

    pub(crate) fn count(&self, matches: impl Fn(&Request) -> bool) -> usize {
        let state = self.shared.lock();
        state.log.iter().filter(|request| matches(request)).count()
    }

    /// Waits until so many requests have come that match.
    pub(crate) async fn wait_for(
        &self,
        times: usize,
        matches: impl Fn(&Request) -> bool + Send + 'static,
    ) {
        self.wait(move |state| {
            state.log.iter().filter(|request| matches(request)).count() >= times
        })
        .await;
    }

    /// Waits until so many watches are open on a resource.
    pub(crate) async fn wait_for_watches(&self, times: usize, resource: &str) {
        let plural = Kind::named(resource).plural;
        self.wait(move |state| state.watches.open(plural) == times)
            .await;
    }

    /// Patience is measured by this server's clock: a test may have stopped its own.
    async fn wait(&self, reached: impl Fn(&State) -> bool + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let waiting = self
            .listening
            .runtime()
            .spawn(async move { tokio::time::timeout(PATIENCE, shared.wait_until(reached)).await });
        let waited = waiting.await.unwrap();
        assert!(waited.is_ok(), "in vain; what came: {:#?}", self.log());
    }
}
