//! What a round asks of the API server, and the same over HTTP.

use std::fmt::Debug;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use json_patch::Patch;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{Request, Status};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::Now;
use super::bundle::{Configuration, ConfigurationId, ConfigurationKind};
use super::clock::Clock;
use super::error::{FailedRequest, Object, PkiError, Verb};
use super::round::Task;
use crate::api::{self, Fault};

/// The field manager that the API server records.
const FIELD_MANAGER: &str = "berth";

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than an API server stores of one object.
const MAX_BODY: usize = 4 << 20;

/// The API server, as a round sees it.
#[expect(async_fn_in_trait, reason = "each caller knows its implementation")]
pub trait ApiServer {
    /// What time it is.
    fn now(&self) -> Now;

    /// Reads a webhook configuration; `None` if it does not exist.
    async fn read_configuration(
        &mut self,
        id: &ConfigurationId,
    ) -> Result<Option<Configuration>, PkiError>;

    /// Reads the Secret; `None` if it does not exist.
    async fn read_secret(&mut self) -> Result<Option<Secret>, PkiError>;

    /// Replaces the Secret if it still has this version, or creates it where there is no version.
    async fn write_secret(&mut self, secret: &Secret) -> Result<(), WriteError>;

    /// Patches a webhook configuration; `None` if it is gone.
    async fn patch_configuration(
        &mut self,
        id: &ConfigurationId,
        patch: Patch,
    ) -> Result<Option<Configuration>, WriteError>;
}

/// Why something was not written.
#[derive(Debug)]
pub enum WriteError {
    /// Another client changed it after it was read.
    Conflict,
    /// Anything else.
    Failed(PkiError),
}

/// The Secret and the configurations at an API server.
pub(super) struct Store {
    client: Client,
    /// The Secret.
    namespace: String,
    name: String,
    mutating: Api<MutatingWebhookConfiguration>,
    validating: Api<ValidatingWebhookConfiguration>,
    clock: Clock,
}

impl ApiServer for Store {
    fn now(&self) -> Now {
        self.clock.now()
    }

    async fn read_configuration(
        &mut self,
        id: &ConfigurationId,
    ) -> Result<Option<Configuration>, PkiError> {
        let ConfigurationId { kind, name } = id;
        let read = match kind {
            ConfigurationKind::Mutating => read(&self.mutating, name).await,
            ConfigurationKind::Validating => read(&self.validating, name).await,
        };
        read.map_err(|failure| error(Verb::Get, Object::Configuration(id.clone()), failure))
    }

    async fn read_secret(&mut self) -> Result<Option<Secret>, PkiError> {
        let request = self.secrets().get(&self.name, &GetParams::default());
        match self.send(request).await {
            Ok(secret) => Ok(Some(secret)),
            Err(Failure::Status(status)) if is_not_found(&status) => Ok(None),
            Err(failure) => Err(error(Verb::Get, self.secret(), failure)),
        }
    }

    async fn write_secret(&mut self, secret: &Secret) -> Result<(), WriteError> {
        let is_new = secret.metadata.resource_version.is_none();
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let body = serde_json::to_vec(secret).map_err(|_| {
            let failure = Failure::unreadable("the secret can't be encoded");
            WriteError::Failed(error(Verb::Update, self.secret(), failure))
        })?;
        let (verb, request) = if is_new {
            (Verb::Create, self.secrets().create(&params, body))
        } else {
            let request = self.secrets().replace(&self.name, &params, body);
            (Verb::Update, request)
        };
        let Err(failure) = self.send(request).await else {
            return Ok(());
        };
        let object = self.secret();
        Err(match failure {
            Failure::Status(status) if is_conflict(&status) => WriteError::Conflict,
            Failure::Status(status) if is_not_found(&status) && is_new => {
                WriteError::Failed(PkiError::NoNamespace(object))
            }
            Failure::Status(status) if is_not_found(&status) => WriteError::Conflict,
            failure => WriteError::Failed(error(verb, object, failure)),
        })
    }

    async fn patch_configuration(
        &mut self,
        id: &ConfigurationId,
        patch: Patch,
    ) -> Result<Option<Configuration>, WriteError> {
        let ConfigurationId { kind, name } = id;
        let patched = match kind {
            ConfigurationKind::Mutating => write(&self.mutating, name, patch).await,
            ConfigurationKind::Validating => write(&self.validating, name, patch).await,
        };
        match patched {
            Ok(patched) => Ok(Some(patched)),
            Err(Failure::Status(status)) if is_not_found(&status) => Ok(None),
            Err(Failure::Status(status)) if is_outdated(&status) => Err(WriteError::Conflict),
            Err(failure) => Err(WriteError::Failed(error(
                Verb::Patch,
                Object::Configuration(id.clone()),
                failure,
            ))),
        }
    }
}

impl Store {
    pub(super) fn new(client: Client, task: &Task, clock: Clock) -> Self {
        Self {
            mutating: Api::all(client.clone()),
            validating: Api::all(client.clone()),
            client,
            namespace: task.namespace.clone(),
            name: task.secret.clone(),
            clock,
        }
    }

    /// kube's own way logs an answer that it can't decode, and this one has keys in it.
    async fn send(
        &mut self,
        request: Result<axum::http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Secret, Failure> {
        let request = request.map_err(|error| Failure::of(kube::Error::BuildRequest(error)))?;
        let request = request.map(Body::from);
        let answer = async {
            let response = self.client.send(request).await.map_err(Failure::of)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|error| Failure::of(kube::Error::Service(error)))?;
            Ok((head, body.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Err(Failure::Other(Fault::late(PATIENCE))))?;
        let date = head.headers.get(axum::http::header::DATE);
        let date = date
            .and_then(|date| date.to_str().ok())
            .and_then(|date| httpdate::parse_http_date(date).ok());
        self.clock.observe_date(date);
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

/// Why a request failed: the server's status, or what prevented an answer.
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
}

/// The error for a failed request, by the response of the API server.
pub(super) fn error(verb: Verb, object: Object, failure: Failure) -> PkiError {
    let (fault, is_answered) = match failure {
        Failure::Status(status) => (Fault::from(status.as_ref()), true),
        Failure::Other(fault) => (fault, false),
    };
    let request = FailedRequest {
        verb,
        object,
        fault,
    };
    match request.fault.cause {
        api::Cause::Forbidden => PkiError::Forbidden(request),
        cause if cause.is_denial() => PkiError::Denied(request),
        _ if is_answered => PkiError::Refused(request),
        _ => PkiError::Unreachable(request),
    }
}

async fn read<K>(api: &Api<K>, name: &str) -> Result<Option<Configuration>, Failure>
where
    K: Clone + Debug + DeserializeOwned,
    Configuration: for<'k> From<&'k K>,
{
    let found = within(api.get_opt(name)).await?;
    Ok(found.as_ref().map(Configuration::from))
}

async fn write<K>(api: &Api<K>, name: &str, patch: Patch) -> Result<Configuration, Failure>
where
    K: Clone + Debug + DeserializeOwned,
    Configuration: for<'k> From<&'k K>,
{
    let params = PatchParams::apply(FIELD_MANAGER);
    let patch = kube::api::Patch::<()>::Json(patch);
    let patched = within(api.patch(name, &params, &patch)).await?;
    Ok(Configuration::from(&patched))
}

async fn within<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(Failure::of),
        Err(_) => Err(Failure::Other(Fault::late(PATIENCE))),
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

/// Another client has changed or created the object.
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
