//! The API server's side of a round: each effect as one request, each answer as an outcome.

use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Limited};
use json_patch::Patch;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{Request, Status};
use kube::{Api, Client, Resource};

use super::error::{Object, PkiError, Verb};
use super::replica::Outcome;
use super::time::http_date;
use crate::api::{self, Fault};

/// Who writes, as the API server notes it field by field.
const FIELD_MANAGER: &str = "berth";

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than an API server stores of one object.
const MAX_BODY: usize = 4 << 20;

/// The Secret and the configurations at an API server.
pub(super) struct Store {
    client: Client,
    namespace: String,
    name: String,
    configurations: Api<MutatingWebhookConfiguration>,
    /// What time it was there at the last answer.
    pub(super) date: Option<SystemTime>,
}

impl Store {
    pub(super) fn new(client: Client, namespace: String, name: String) -> Self {
        Self {
            configurations: Api::all(client.clone()),
            client,
            namespace,
            name,
            date: None,
        }
    }

    pub(super) async fn read_configuration(&self, name: &str) -> Outcome {
        let failed = |failure| failed(Verb::Get, configuration(name), failure);
        match within(self.configurations.get_opt(name)).await {
            Ok(read) => Outcome::Configuration(read.map(Box::new)),
            Err(failure) => failed(failure),
        }
    }

    pub(super) async fn patch_configuration(&self, name: &str, patch: Patch) -> Outcome {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = kube::api::Patch::<()>::Json(patch);
        match within(self.configurations.patch(name, &params, &patch)).await {
            Ok(patched) => Outcome::Configuration(Some(Box::new(patched))),
            Err(Failure::Status(status)) if is_not_found(&status) => Outcome::Configuration(None),
            Err(Failure::Status(status)) if is_outdated(&status) => Outcome::Conflict,
            Err(failure) => failed(Verb::Patch, configuration(name), failure),
        }
    }

    pub(super) async fn read_secret(&mut self) -> Outcome {
        let request = self
            .secrets()
            .get(&self.name, &GetParams::default())
            .map_err(|error| Failure::of(kube::Error::BuildRequest(error)));
        match self.send(request).await {
            Ok(secret) => Outcome::Secret(Some(Box::new(secret))),
            Err(Failure::Status(status)) if is_not_found(&status) => Outcome::Secret(None),
            Err(failure) => failed(Verb::Get, self.secret(), failure),
        }
    }

    pub(super) async fn create_secret(&mut self, secret: &Secret) -> Outcome {
        let request = encode(secret).and_then(|body| {
            self.secrets()
                .create(&params(), body)
                .map_err(|error| Failure::of(kube::Error::BuildRequest(error)))
        });
        match self.send(request).await {
            Ok(_) => Outcome::Done,
            Err(Failure::Status(status)) if is_conflict(&status) => Outcome::Conflict,
            Err(Failure::Status(status)) if is_not_found(&status) => {
                let object = self.secret();
                Outcome::Failed(PkiError::NoNamespace { object })
            }
            Err(failure) => failed(Verb::Create, self.secret(), failure),
        }
    }

    pub(super) async fn replace_secret(&mut self, secret: &Secret) -> Outcome {
        let request = encode(secret).and_then(|body| {
            self.secrets()
                .replace(&self.name, &params(), body)
                .map_err(|error| Failure::of(kube::Error::BuildRequest(error)))
        });
        match self.send(request).await {
            Ok(_) => Outcome::Done,
            Err(Failure::Status(status)) if is_conflict(&status) || is_not_found(&status) => {
                Outcome::Conflict
            }
            Err(failure) => failed(Verb::Update, self.secret(), failure),
        }
    }

    /// kube's own way logs an answer that it can't decode, and this one has keys in it.
    async fn send(
        &mut self,
        request: Result<axum::http::Request<Vec<u8>>, Failure>,
    ) -> Result<Secret, Failure> {
        let request = request?.map(Body::from);
        let answer = async {
            let response = self.client.send(request).await.map_err(Failure::of)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|error| Failure::of(kube::Error::Service(error)))?;
            Ok((head, body.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Err(Failure::late()))?;
        let date = head.headers.get(axum::http::header::DATE);
        self.date = date.and_then(|date| date.to_str().ok()).and_then(http_date);
        if head.status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|_| Failure::unreadable("the answer is not a secret"));
        }
        let code = head.status.as_u16();
        let status = serde_json::from_slice::<Status>(&body)
            .unwrap_or_else(|_| Status::failure(&head.status.to_string(), "").with_code(code));
        Err(Failure::Status(Box::new(status)))
    }

    fn secrets(&self) -> Request {
        Request::new(Secret::url_path(&(), Some(&self.namespace)))
    }

    fn secret(&self) -> Object {
        Object::Secret {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// Why there is no good answer: the server's own words, or what is in the way of any.
pub(super) enum Failure {
    Status(Box<Status>),
    Other(Fault),
}

impl Failure {
    pub(super) fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            other => Self::Other(Fault::from(&other)),
        }
    }

    fn unreadable(message: &str) -> Self {
        Self::Other(Fault::new(api::Cause::Unreadable, message))
    }

    fn late() -> Self {
        let message = format!("no answer within {} s", PATIENCE.as_secs());
        Self::Other(Fault::new(api::Cause::Timeout, message))
    }
}

/// What is wrong with an object, by what the API server said.
pub(super) fn error(verb: Verb, object: Object, failure: Failure) -> PkiError {
    let (fault, answered) = match failure {
        Failure::Status(status) => (Fault::from(status.as_ref()), true),
        Failure::Other(fault) => (fault, false),
    };
    match (fault.cause, answered) {
        (api::Cause::Forbidden, _) => PkiError::Forbidden {
            verb,
            object,
            fault,
        },
        (cause, _) if cause.is_denial() => PkiError::Denied {
            verb,
            object,
            fault,
        },
        (_, true) => PkiError::Refused {
            verb,
            object,
            fault,
        },
        (_, false) => PkiError::Unreachable {
            verb,
            object,
            fault,
        },
    }
}

fn failed(verb: Verb, object: Object, failure: Failure) -> Outcome {
    Outcome::Failed(error(verb, object, failure))
}

async fn within<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(Failure::of),
        Err(_) => Err(Failure::late()),
    }
}

/// A patch whose tests fail is a 422 without causes; an object that is refused has some, unless a
/// webhook refuses it.
fn is_outdated(status: &Status) -> bool {
    let causes = status
        .details
        .as_ref()
        .is_some_and(|details| !details.causes.is_empty());
    is_conflict(status) || (status.code == 422 && !causes && !is_denied(status))
}

/// Changed, or made, by somebody else meanwhile.
fn is_conflict(status: &Status) -> bool {
    status.code == 409 && !is_denied(status)
}

fn is_not_found(status: &Status) -> bool {
    status.code == 404 && !is_denied(status)
}

/// A webhook that denies a request chooses the code.
fn is_denied(status: &Status) -> bool {
    Fault::from(status).cause.is_denial()
}

fn encode(secret: &Secret) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(secret).map_err(|_| Failure::unreadable("the secret can't be encoded"))
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn configuration(name: &str) -> Object {
    let name = name.to_owned();
    Object::Configuration { name }
}
