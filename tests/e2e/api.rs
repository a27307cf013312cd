//! Requests in JSON, as somebody whom a kubeconfig names: to kube-apiserver, or to berth as its
//! callers ask it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::http::{Method, Request, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};
use serde_json::{Value, json};
use tokio::runtime::Handle;

/// A server would have to hang for this to pass.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    runtime: Handle,
}

impl Api {
    /// As a kubeconfig says.
    pub(crate) fn connect(runtime: &Handle, kubeconfig: &Path) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = runtime
            .block_on(Config::from_custom_kubeconfig(kubeconfig, &options))
            .unwrap();
        Self::new(runtime, config)
    }

    /// As nobody, trusting a CA.
    pub(crate) fn anonymous(runtime: &Handle, url: &str, ca: &Path) -> Self {
        let kubeconfig = json!({
            "clusters": [{"name": "it", "cluster": {"server": url, "certificate-authority": ca}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "nobody"}}],
            "current-context": "it",
        });
        let options = KubeConfigOptions::default();
        let kubeconfig = serde_json::from_value(kubeconfig).unwrap();
        let config = runtime
            .block_on(Config::from_custom_kubeconfig(kubeconfig, &options))
            .unwrap();
        Self::new(runtime, config)
    }

    fn new(runtime: &Handle, mut config: Config) -> Self {
        config.connect_timeout = Some(TIMEOUT);
        config.read_timeout = Some(TIMEOUT);
        config.write_timeout = Some(TIMEOUT);
        // What fails is to be seen.
        config.default_retry = false;
        let _inside = runtime.enter();
        Self {
            client: Client::try_from(config).unwrap(),
            runtime: runtime.clone(),
        }
    }

    /// A request, whatever comes of it.
    pub(crate) fn send(
        &self,
        method: &Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<String, Error> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, content)
            .body(body.into_bytes())
            .unwrap();
        self.runtime.block_on(self.client.request_text(request))
    }

    /// A request that is answered with JSON.
    fn ask(&self, method: &Method, path: &str, content: &str, body: Option<&Value>) -> Value {
        let text = self
            .send(method, path, content, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask(&Method::GET, path, JSON, None)
    }

    /// What is there, if it is.
    pub(crate) fn find(&self, path: &str) -> Option<Value> {
        match self.send(&Method::GET, path, JSON, None) {
            Ok(text) => Some(serde_json::from_str(&text).unwrap()),
            Err(Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("GET {path}: {error}"),
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        match self.get(path)["items"].take() {
            Value::Array(items) => items,
            other => panic!("{path}: no list: {other}"),
        }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(&Method::POST, path, JSON, Some(body))
    }

    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let text = self.send(&Method::POST, path, JSON, Some(body))?;
        serde_json::from_str(&text).map_err(Error::SerdeError)
    }

    /// Changes what is named, and leaves the rest.
    pub(crate) fn merge(&self, path: &str, change: &Value) -> Value {
        let content = "application/merge-patch+json";
        self.ask(&Method::PATCH, path, content, Some(change))
    }

    /// The same with what may have gone meanwhile.
    pub(crate) fn merge_if_there(&self, path: &str, change: &Value) {
        let content = "application/merge-patch+json";
        match self.send(&Method::PATCH, path, content, Some(change)) {
            Ok(_) => {}
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("PATCH {path}: {error}"),
        }
    }

    /// The same for a part of what Kubernetes defines itself, where lists have keys.
    pub(crate) fn strategic_merge(&self, path: &str, change: &Value) -> Value {
        let content = "application/strategic-merge-patch+json";
        self.ask(&Method::PATCH, path, content, Some(change))
    }

    /// Changes one thing in a list.
    pub(crate) fn json_patch(&self, path: &str, change: &Value) -> Value {
        let content = "application/json-patch+json";
        self.ask(&Method::PATCH, path, content, Some(change))
    }

    /// Deletes an object or a collection at once, if it is there.
    pub(crate) fn delete(&self, path: &str) {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "propagationPolicy": "Background",
        });
        match self.send(&Method::DELETE, path, JSON, Some(&options)) {
            Ok(_) => {}
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("DELETE {path}: {error}"),
        }
    }
}

const JSON: &str = "application/json";

/// Writes a kubeconfig of one server and one user.
pub(crate) fn write_kubeconfig(
    path: &Path,
    server: &str,
    ca: &Path,
    namespace: &str,
    user: &Value,
) {
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{
            "name": "it",
            "context": {"cluster": "it", "user": "user", "namespace": namespace},
        }],
        "current-context": "it",
    });
    fs::write(path, kubeconfig.to_string()).unwrap();
}
