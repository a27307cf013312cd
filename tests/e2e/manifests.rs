//! The project's own manifests, rendered as a user renders them.

use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::programs;

/// Everything that `kubectl apply -k manifests/base` applies.
#[derive(Clone, Debug)]
pub(crate) struct Manifests(Vec<Value>);

/// The namespace of the manifests.
pub(crate) const NAMESPACE: &str = "berth-system";

/// The `ServiceAccount` of the manifests.
pub(crate) const ACCOUNT: &str = "berth";

/// The kinds that are applied last, when there is somebody to ask.
const MUTATING: &str = "MutatingWebhookConfiguration";
const VALIDATING: &str = "ValidatingWebhookConfiguration";

impl Manifests {
    pub(crate) fn render(kubectl: &Kubectl) -> Self {
        let base = programs::repository("manifests/base");
        let rendered = kubectl.run(&["kustomize", base.to_str().unwrap()], "");
        Self(documents(&rendered.out))
    }

    /// All of a kind.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// All but the webhooks.
    pub(crate) fn without_webhooks(&self) -> Vec<Value> {
        let is_webhook =
            |object: &Value| object["kind"] == MUTATING || object["kind"] == VALIDATING;
        let others = self.0.iter().filter(|object| !is_webhook(object));
        others.cloned().collect()
    }

    /// What comes empty, for berth to fill.
    pub(crate) fn to_be_filled(&self) -> Vec<Value> {
        let kinds = ["Secret", "Lease"];
        let empty = kinds.iter().flat_map(|kind| self.of_kind(kind));
        empty.cloned().collect()
    }

    /// The mutating webhooks, at a URL.
    pub(crate) fn webhooks(&self, url: &str) -> Value {
        self.configuration(MUTATING, url)
    }

    /// The validating webhook, at a URL.
    pub(crate) fn validating_webhook(&self, url: &str) -> Value {
        self.configuration(VALIDATING, url)
    }

    /// A webhook configuration at a URL: nothing here leads from a Service to a port of loopback.
    fn configuration(&self, kind: &str, url: &str) -> Value {
        let [configuration] = &self.of_kind(kind).collect::<Vec<_>>()[..] else {
            panic!("not one {kind}");
        };
        let mut configuration = Value::clone(configuration);
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            let client = webhook["clientConfig"].as_object_mut().unwrap();
            let service = client.remove("service").expect("a Service to ask");
            let path = service["path"].as_str().unwrap();
            client.insert("url".to_owned(), json!(format!("{url}{path}")));
        }
        configuration
    }

    /// The configuration file of berth in its `ConfigMap`.
    pub(crate) fn config(&self) -> Value {
        let file = self
            .of_kind("ConfigMap")
            .find_map(|map| map["data"]["config.yaml"].as_str());
        document(file.expect("a ConfigMap with config.yaml"))
    }

    /// The Secret in which berth keeps its certificates.
    pub(crate) fn tls_secret(&self) -> String {
        let deployment = self.of_kind("Deployment").next().expect("a Deployment");
        let variables = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        let variables = variables.as_array().unwrap();
        let secret = variables.iter().find(|v| v["name"] == "BERTH_TLS_SECRET");
        let secret = secret.and_then(|variable| variable["value"].as_str());
        secret.expect("BERTH_TLS_SECRET").to_owned()
    }
}

/// One YAML document.
pub(crate) fn document(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// All YAML documents.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.retain(|document| !document.is_null());
    documents
}
