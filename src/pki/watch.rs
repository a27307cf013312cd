//! Watches of what a round reads, so that a change brings the next round soon.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::debug;

use super::bundle::ConfigurationKind;
use super::controller::{POLL, RETRY};
use super::error::{Object, Verb};
use super::event::Event;
use super::reporter::Reporter;
use super::round::Task;
use super::store::{self, Failure};
use crate::backoff::Backoff;

/// After how many seconds the server ends a watch, which then begins again. A connection that was
/// lost silently is noticed then.
const WATCH_SECONDS: u32 = 60;

/// A watch from here on begins with the object as it is.
const ANY_VERSION: &str = "0";

/// Watches the Secret and the webhook configurations, and notifies `changed`. Of each it asks for the
/// metadata alone, which has no keys.
pub(super) fn watch(
    client: &Client,
    task: &Task,
    changed: &Arc<Notify>,
    reporter: &Arc<Reporter>,
) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let new = |object, name: &str| Watch {
        object,
        name: name.to_owned(),
        version: None,
        changed: Arc::clone(changed),
        reporter: Arc::clone(reporter),
    };
    let secret = task.object();
    let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), &task.namespace);
    watches.spawn(new(secret, &task.secret).run(secrets));
    for id in &task.configurations {
        let watch = new(Object::Configuration(id.clone()), &id.name);
        let client = client.clone();
        match id.kind {
            ConfigurationKind::Mutating => {
                let all = Api::<PartialObjectMeta<MutatingWebhookConfiguration>>::all(client);
                watches.spawn(watch.run(all));
            }
            ConfigurationKind::Validating => {
                let all = Api::<PartialObjectMeta<ValidatingWebhookConfiguration>>::all(client);
                watches.spawn(watch.run(all));
            }
        }
    }
    watches
}

/// The watch of one object.
struct Watch {
    object: Object,
    name: String,
    /// The resource version that was notified last.
    version: Option<String>,
    changed: Arc<Notify>,
    reporter: Arc<Reporter>,
}

impl Watch {
    async fn run<K>(mut self, api: Api<PartialObjectMeta<K>>)
    where
        K: Resource + Clone + Debug,
        PartialObjectMeta<K>: Resource,
    {
        let mut backoff = Backoff::new(RETRY, POLL);
        loop {
            if let Err(failure) = self.follow(&api, &mut backoff).await {
                self.failed(failure);
            }
            sleep(backoff.next()).await;
        }
    }

    /// Follows the object until the watch ends or fails.
    async fn follow<K>(
        &mut self,
        api: &Api<PartialObjectMeta<K>>,
        backoff: &mut Backoff,
    ) -> Result<(), Failure>
    where
        K: Resource + Clone + Debug,
    {
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS);
        let events = api.watch(&params, ANY_VERSION).await.map_err(Failure::of)?;
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            match event.map_err(Failure::of)? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.observe(object.resource_version());
                }
                WatchEvent::Deleted(_) => self.observe(None),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(status) => return Err(Failure::Status(status)),
            }
            backoff.reset();
        }
        Ok(())
    }

    fn observe(&mut self, version: Option<String>) {
        if version.is_none() || version != self.version {
            self.version = version;
            self.changed.notify_one();
        }
    }

    /// Reports a watch that is not allowed. Any other failure passes by itself.
    fn failed(&self, failure: Failure) {
        match failure {
            Failure::Status(status) if status.code == 403 => {
                let failure = Failure::Status(status);
                let error = store::error(Verb::Watch, self.object.clone(), failure);
                self.reporter.report(&Event::Failed(error));
            }
            Failure::Status(status) => {
                debug!(object = %self.object, %status, "a watch begins again");
            }
            Failure::Other(fault) => debug!(object = %self.object, %fault, "a watch begins again"),
        }
    }
}
