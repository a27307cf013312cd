//! What a check asks the API server: each request has its limit, and all of them have an end.

mod installed;
mod replica;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use axum::http;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Limited};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{Api, ListParams, PostParams};
use kube::client::Body;
use kube::core::Status;
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::before::{Before, Place};
use super::cluster::Cluster;
use super::line::Asked;
use super::rights::{Action, OF_INSTALLER};
use crate::api::{Cause, Fault};
use crate::domain::Network;
use crate::pki::{Now, Source};
use crate::wire::objects::agent_selector;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long all of them may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// How many objects come in one part of a list.
const PAGE: u32 = 250;

/// The most bytes of an answer that is no object.
const LARGEST: usize = 4 << 20;

/// The API server, asked on behalf of a person who waits.
pub(super) struct Reader {
    client: Client,
    namespace: String,
    end: Instant,
}

impl Reader {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self {
            client,
            namespace,
            end: Instant::now() + DEADLINE,
        }
    }

    /// The outcome of a request, or that there was none in time.
    async fn ask<T>(&self, request: impl Future<Output = Result<T, kube::Error>>) -> Asked<T> {
        self.wait(async { request.await.map_err(|error| Fault::from(&error)) })
            .await
    }

    async fn wait<T>(&self, request: impl Future<Output = Asked<T>>) -> Asked<T> {
        let left = self.end.saturating_duration_since(Instant::now());
        let limit = PATIENCE.min(left);
        match timeout(limit, request).await {
            Ok(answer) => answer,
            Err(_) if limit < PATIENCE => Err(Fault::new(
                Cause::Timeout,
                format!("the check has an end after {} s", DEADLINE.as_secs()),
            )),
            Err(_) => Err(Fault::late(limit)),
        }
    }

    /// All objects of a kind that are selected, each as far as it is needed.
    async fn list<K, T>(
        &self,
        api: &Api<K>,
        selector: &str,
        keep: impl Fn(K) -> Option<T>,
    ) -> Asked<Vec<T>>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let mut params = ListParams::default().limit(PAGE);
        if !selector.is_empty() {
            params = params.labels(selector);
        }
        let mut kept = Vec::new();
        loop {
            let page = self.ask(api.list(&params)).await?;
            kept.extend(page.items.into_iter().filter_map(&keep));
            match page.metadata.continue_ {
                Some(token) if !token.is_empty() => params = params.continue_token(&token),
                _ => return Ok(kept),
            }
        }
    }

    /// An object; `None` if it, or its kind, does not exist.
    async fn find<K>(&self, api: &Api<K>, name: &str) -> Asked<Option<K>>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        optional(self.ask(api.get(name)).await)
    }

    /// The JSON at a path.
    async fn get(&self, path: &str) -> Asked<Value> {
        self.ask(self.client.request(request("GET", path, Vec::new())))
            .await
    }

    /// The release of Kubernetes, and what time it is there.
    pub(super) async fn version(&self) -> (Asked<String>, Now) {
        let read = async {
            let response = self
                .client
                .send(request("GET", "/version", Vec::new()).map(Body::from));
            let (head, body) = response.await?.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(kube::Error::Service)?.to_bytes();
            Ok((head, body))
        };
        let (head, body) = match self.ask(read).await {
            Ok(read) => read,
            Err(fault) => return (Err(fault), super::certificates::local()),
        };
        let date = head.headers.get(http::header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let now = date.map_or_else(super::certificates::local, |at: SystemTime| Now {
            at,
            by: Source::ApiServer,
        });
        (release(head.status, &body), now)
    }

    /// The objects of a kind of KubeVirt.
    async fn kubevirts(&self) -> Asked<Vec<Value>> {
        let list = self.get("/apis/kubevirt.io/v1/kubevirts").await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn cluster(&self, kubernetes: Asked<String>, network: Network) -> Cluster {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &network.agent_namespace);
        let selector = agent_selector(network.provider);
        let image = |pod: Pod| pod.spec?.containers.first()?.image.clone();
        let (kinds, kubevirts, agents) = tokio::join!(
            self.get("/apis/kubevirt.io/v1"),
            self.kubevirts(),
            self.list(&pods, &selector, image),
        );
        let kinds = optional(kinds).map(|list| {
            let resources = list.as_ref()?["resources"].as_array()?;
            let names = resources.iter().filter_map(|kind| kind["name"].as_str());
            Some(names.map(str::to_owned).collect())
        });
        // Without the group there are none.
        let kubevirts = optional(kubevirts).map(Option::unwrap_or_default);
        Cluster {
            kubernetes,
            kinds,
            kubevirts,
            agents,
            network,
        }
    }

    pub(super) async fn place(&self) -> Place {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        Place {
            namespace: self.find(&namespaces, &self.namespace).await,
        }
    }

    pub(super) async fn before(&self, address: IpAddr) -> Before {
        let services: Api<Service> = Api::all(self.client.clone());
        let reviews = OF_INSTALLER
            .iter()
            .map(|action| async { (*action, self.may(action).await) });
        let (reviews, refusal, services) = tokio::join!(
            join_all(reviews),
            self.assignable(address),
            self.list(&services, "", Some),
        );
        Before {
            reviews,
            address,
            refusal,
            services,
            own: self.namespace.clone(),
        }
    }

    /// Whether the user of the kubeconfig may do this.
    async fn may(&self, action: &Action) -> Asked<bool> {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(self.attributes(action)),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let review = self
            .ask(api.create(&PostParams::default(), &review))
            .await?;
        reviewed(review.status)
    }

    fn attributes(&self, action: &Action) -> ResourceAttributes {
        let (resource, subresource) = match action.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (action.resource, None),
        };
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ResourceAttributes {
            verb: text(action.verb),
            group: text(action.group),
            resource: text(resource),
            subresource: subresource.and_then(text),
            name: text(action.name),
            namespace: action.is_own.then(|| self.namespace.clone()),
            ..ResourceAttributes::default()
        }
    }

    /// Why the API server can't give a Service this address, if it can't. Whether another Service has it,
    /// a dry run does not tell (Kubernetes 1.36 accepts it).
    async fn assignable(&self, address: IpAddr) -> Asked<Option<String>> {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"generateName": "berth-check-"},
            "spec": {"clusterIP": address, "ports": [{"port": 443}]},
        });
        let path = "/api/v1/namespaces/default/services?dryRun=All";
        let request =
            self.client
                .request::<Value>(request("POST", path, service.to_string().into_bytes()));
        let answer = async {
            match request.await {
                Ok(_) => Ok(None),
                Err(kube::Error::Api(status)) if is_about_the_address(&status) => {
                    Ok(Some(address_refused(&status)))
                }
                Err(error) => Err(Fault::from(&error)),
            }
        };
        self.wait(answer).await
    }
}

/// The release in an answer to `/version`.
fn release(status: http::StatusCode, body: &[u8]) -> Asked<String> {
    if let Ok(refusal) = serde_json::from_slice::<Status>(body)
        && refusal.code != 0
    {
        return Err(Fault::from(&refusal));
    }
    let version = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let version = version["gitVersion"].as_str();
    version.map(str::to_owned).ok_or_else(|| {
        Fault::new(
            Cause::Unreadable,
            format!("/version answers with status {status}, and not with a version of Kubernetes"),
        )
    })
}

fn is_about_the_address(status: &Status) -> bool {
    status.code == 422 && causes(status).any(|(field, _)| field.starts_with("spec.clusterIP"))
}

/// `failed to allocate IP 10.96.0.77: the provided IP (10.96.0.77) is not in the valid range. …`
fn address_refused(status: &Status) -> String {
    let mut said = causes(status).filter(|(field, _)| field.starts_with("spec.clusterIP"));
    let said = said.next().map_or("", |(_, message)| message);
    let (_, said) = said.split_once("]: ").unwrap_or(("", said));
    said.to_owned()
}

fn causes(status: &Status) -> impl Iterator<Item = (&str, &str)> {
    let details = status.details.iter();
    let causes = details.flat_map(|details| &details.causes);
    causes.map(|cause| (cause.field.as_str(), cause.message.as_str()))
}

/// What a review came to.
fn reviewed(status: Option<SubjectAccessReviewStatus>) -> Asked<bool> {
    let status = status.unwrap_or_default();
    match status.evaluation_error {
        Some(error) if !status.allowed => Err(Fault::new(Cause::Server, error)),
        _ => Ok(status.allowed),
    }
}

/// `None` for what does not exist.
fn optional<T>(asked: Asked<T>) -> Asked<Option<T>> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.cause == Cause::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A request whose parts are known to be right.
fn request(method: &str, path: &str, body: Vec<u8>) -> http::Request<Vec<u8>> {
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header(http::header::CONTENT_TYPE, "application/json");
    request.body(body).unwrap_or_default()
}

/// `namespace/name` of an object.
fn full_name(object: &impl ResourceExt) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{namespace}/{}", object.name_any())
}

/// The labels by which the pods of berth are found.
fn selector() -> String {
    let labels = BTreeMap::from(super::LABELS);
    let labels: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(",")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_ends_after_its_limit_and_all_of_them_at_the_deadline() {
        let silent = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let client = Client::new(silent, "default");
        let reader = Reader::new(client, "berth-system".to_owned());
        for _ in 0..6 {
            let fault = reader.get("/version").await.unwrap_err();
            assert_eq!(fault.to_string(), "no answer within 10 s");
        }
        let fault = reader.get("/version").await.unwrap_err();
        assert_eq!(fault.to_string(), "the check has an end after 60 s");
    }
}
