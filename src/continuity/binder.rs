//! Binds pods for kube-scheduler. Where an extender has the verb `bind`, kube-scheduler binds none of the
//! extender's pods itself, so that every pod that comes is bound here, and only the target of a migration is
//! prepared first.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod as PodResource;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde_json::json;

use crate::api::fault::within;
use crate::api::{Cause, Fault};
use crate::continuity::metrics::BindOutcome;
use crate::continuity::{Metrics, Preparer, Target};
use crate::failure_log::FailureLog;
use crate::wire::objects::Pod;

/// How long the API server may take to read a pod.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the API server may take to bind a pod.
const BIND_TIMEOUT: Duration = Duration::from_secs(5);

/// The right that a binding needs.
const RIGHTS: &str =
    "apply the component `continuity` of berth's manifests, which allows to create pods/binding";

/// A pod and the node that kube-scheduler chose for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The namespace of the pod.
    pub namespace: String,
    /// The name of the pod.
    pub name: String,
    /// The UID of the pod.
    pub uid: String,
    /// The name of the node.
    pub node: String,
}

/// A bound pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// By this call.
    Now,
    /// By an earlier one.
    Before,
}

/// Why a pod is not bound. kube-scheduler shows the text and tries again.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The pod is bound to another node.
    #[error("pod {pod} is bound to node {other} already, not to {node}")]
    OtherNode {
        /// The pod, with its namespace.
        pod: String,
        /// The node that it is bound to.
        other: String,
        /// The node that was asked for.
        node: String,
    },
    /// The API server does not bind it.
    #[error("pod {pod} can't be bound to node {node}: {fault}")]
    Refused {
        /// The pod, with its namespace.
        pod: String,
        /// The node.
        node: String,
        /// Why, with the remedy.
        fault: String,
    },
}

/// Binds pods.
pub struct Binder {
    client: Client,
    preparer: Option<Preparer>,
    metrics: Metrics,
    unread: Mutex<FailureLog<Cause>>,
}

impl fmt::Debug for Binder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binder")
            .field("preparer", &self.preparer)
            .finish_non_exhaustive()
    }
}

/// A pod as the API server has it.
enum Seen {
    /// It is bound to this node.
    Bound(String),
    /// It is the target of a migration.
    Target(Target),
    /// It is another pod, or another one of this name.
    Other,
}

impl Binder {
    /// A binder that has the network of migrations prepared, where there is a preparer.
    #[must_use]
    pub fn new(client: Client, preparer: Option<Preparer>, metrics: Metrics) -> Self {
        Self {
            client,
            preparer,
            metrics,
            unread: Mutex::default(),
        }
    }

    /// The longest time that [`Self::bind`] takes.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let preparation = self.preparer.as_ref().map(Preparer::patience);
        preparation.unwrap_or_default() + READ_TIMEOUT * 2 + BIND_TIMEOUT
    }

    /// Binds a pod, and prepares its network first if a migration made it.
    ///
    /// # Errors
    /// The pod is not bound to this node.
    pub async fn bind(&self, binding: &Binding) -> Result<Bound, BindError> {
        let bound = self.prepare_and_bind(binding).await;
        self.metrics.bind(match bound {
            Ok(Bound::Now) => BindOutcome::Bound,
            Ok(Bound::Before) => BindOutcome::AlreadyBound,
            Err(_) => BindOutcome::Failed,
        });
        bound
    }

    async fn prepare_and_bind(&self, binding: &Binding) -> Result<Bound, BindError> {
        if let Some(preparer) = &self.preparer {
            match self.read(binding).await {
                Ok(Seen::Bound(node)) => return already_bound(binding, node),
                Ok(Seen::Target(target)) => {
                    preparer.prepare(&target).await;
                }
                Ok(Seen::Other) => {}
                Err(fault) => self.log_unread(binding, &fault),
            }
        }
        match within(BIND_TIMEOUT, self.post(binding)).await {
            Ok(()) => Ok(Bound::Now),
            Err(fault) if fault.cause == Cause::Conflict => match self.read(binding).await {
                Ok(Seen::Bound(node)) => already_bound(binding, node),
                _ => Err(refused(binding, &fault)),
            },
            Err(fault) => Err(refused(binding, &fault)),
        }
    }

    async fn read(&self, binding: &Binding) -> Result<Seen, Fault> {
        let url = PodResource::url_path(&(), Some(&binding.namespace));
        let request = Request::new(url).get(&binding.name, &GetParams::default());
        let request = request.map_err(|error| Fault::from(&kube::Error::BuildRequest(error)))?;
        let text = within(READ_TIMEOUT, self.client.request_text(request)).await?;
        let pod: Pod<'_> = serde_json::from_str(&text)
            .map_err(|error| Fault::new(Cause::Unreadable, error.to_string()))?;
        Ok(seen(&pod, binding))
    }

    async fn post(&self, binding: &Binding) -> kube::Result<()> {
        let Binding {
            namespace,
            name,
            uid,
            node,
        } = binding;
        let body = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": name, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let url = PodResource::url_path(&(), Some(namespace));
        let body = body.to_string().into_bytes();
        let request = Request::new(url)
            .create_subresource("binding", name, &PostParams::default(), body)
            .map_err(kube::Error::BuildRequest)?;
        self.client.request_text(request).await.map(drop)
    }

    fn log_unread(&self, binding: &Binding, fault: &Fault) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.record(fault.cause) {
            let Binding {
                namespace, name, ..
            } = binding;
            tracing::warn!(
                namespace,
                pod = name,
                cause = fault.cause.name(),
                "a pod can't be read and is bound without preparation: {}",
                fault.with_remedy(RIGHTS)
            );
        }
    }
}

fn seen(pod: &Pod<'_>, binding: &Binding) -> Seen {
    if pod.uid() != binding.uid {
        return Seen::Other;
    }
    if let Some(node) = pod.node() {
        return Seen::Bound(node.to_owned());
    }
    match (pod.migration(), pod.vmi()) {
        (Some(migration), Some(vmi)) if pod.is_launcher() => Seen::Target(Target {
            namespace: binding.namespace.clone(),
            vm: vmi.name.to_owned(),
            vmi_uid: vmi.uid.to_owned(),
            migration: migration.to_owned(),
            node: binding.node.clone(),
        }),
        _ => Seen::Other,
    }
}

/// kube-scheduler asks again for a binding of which it did not see the end.
fn already_bound(binding: &Binding, node: String) -> Result<Bound, BindError> {
    if node == binding.node {
        return Ok(Bound::Before);
    }
    Err(BindError::OtherNode {
        pod: full_name(binding),
        other: node,
        node: binding.node.clone(),
    })
}

fn refused(binding: &Binding, fault: &Fault) -> BindError {
    BindError::Refused {
        pod: full_name(binding),
        node: binding.node.clone(),
        fault: fault.with_remedy(RIGHTS),
    }
}

fn full_name(binding: &Binding) -> String {
    format!("{}/{}", binding.namespace, binding.name)
}
