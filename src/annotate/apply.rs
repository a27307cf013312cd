//! The patches, asked for or tried: a few at a time, each on the version of the object that was judged.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, ReplaceOperation};
use kube::Client;
use kube::api::PatchParams;
use kube::core::Request;
use tokio::time::timeout;

use crate::annotate::objects::{self, Lacks, Need, Rules};
use crate::api::{Cause, Fault};
use crate::fleet::load::problem::in_words;
use crate::wire::objects::{Identity, read};
use crate::wire::patch;

/// The longest that one request may take: the admission webhooks of KubeVirt have ten seconds each.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How many objects are patched at a time.
const AT_A_TIME: usize = 4;

/// After how many requests in a row that had no answer no more objects are asked for: all that are sent at a time.
const SILENCES: usize = AT_A_TIME;

/// How the API server answers where its storage or a webhook took too long: the patch may have been made.
const GATEWAY_TIMEOUT: u16 = 504;

/// How often an object that others change is tried.
const TRIES: usize = 4;

/// The field manager that the API server records for the annotation.
const FIELD_MANAGER: &str = "berth";

/// What came of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The API server took it, or would.
    Done,
    /// The object changed in the meantime and needs it no longer, or is gone.
    NotNeeded,
    /// The API server refuses it, in its words.
    Refused(String),
    /// There was no answer, for this reason: the patch may have been made all the same.
    Unanswered(String),
    /// The API server was lost before.
    NotAsked,
}

/// The way to the API server.
pub struct Patcher<'a> {
    /// The client.
    pub client: &'a Client,
    /// The rules by which a changed object is judged again.
    pub rules: &'a Rules,
    /// The API server says what it would do, and does nothing.
    pub is_dry_run: bool,
}

impl Patcher<'_> {
    /// Patches objects, and gives the outcomes in their order. `done` is told of each.
    pub async fn patch_all(&self, lacking: &[&Lacks], done: impl Fn()) -> Vec<Outcome> {
        let is_lost = AtomicBool::new(false);
        let silences = AtomicUsize::new(0);
        let outcomes = stream::iter(lacking).map(|lacks| async {
            if is_lost.load(Ordering::Relaxed) {
                return Outcome::NotAsked;
            }
            let patched = self.patch(lacks).await;
            let is_late = |fault: &Fault| fault.cause == Cause::Timeout;
            if patched.as_ref().is_err_and(is_late) {
                let before = silences.fetch_add(1, Ordering::Relaxed);
                is_lost.fetch_or(before + 1 >= SILENCES, Ordering::Relaxed);
            } else {
                silences.store(0, Ordering::Relaxed);
            }
            is_lost.fetch_or(patched.as_ref().is_err_and(is_loss), Ordering::Relaxed);
            done();
            patched.unwrap_or_else(|fault| match fault.cause {
                Cause::Connection | Cause::Timeout => Outcome::Unanswered(fault.to_string()),
                _ => Outcome::Refused(fault.to_string()),
            })
        });
        outcomes.buffered(AT_A_TIME).collect().await
    }

    async fn patch(&self, lacks: &Lacks) -> Result<Outcome, Fault> {
        let mut lacks = lacks.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match self.send(&lacks).await {
                Ok(()) => return Ok(Outcome::Done),
                Err(fault) if fault.cause == Cause::NotFound => return Ok(Outcome::NotNeeded),
                Err(fault) if fault.cause == Cause::Conflict && tries < TRIES => fault,
                Err(fault) => return Err(fault),
            };
            let path = format!("{}/{}", lacks.collection(), lacks.name);
            let object = match objects::get(self.client, &path).await {
                Ok(object) => object,
                Err(fault) if fault.cause == Cause::NotFound => return Ok(Outcome::NotNeeded),
                Err(fault) => return Err(fault),
            };
            let unreadable = |problem: String| Fault::new(Cause::Unreadable, in_words(&problem));
            let needed = self.rules.lacks(lacks.kind, &lacks.namespace, &object);
            let needed = needed.map_err(unreadable)?;
            let Some(Need { anchor, gap, .. }) = needed.filter(|need| !need.opts_out) else {
                return Ok(Outcome::NotNeeded);
            };
            if let Some(gap) = gap {
                return Err(unreadable(gap.text().to_owned()));
            }
            let identity = read::<Identity<'_>>(&object).map_err(unreadable)?;
            lacks.anchor = anchor;
            // Without one there is nothing to try again with.
            let version = identity.resource_version().ok_or(fault)?;
            version.clone_into(&mut lacks.version);
        }
    }

    async fn send(&self, lacks: &Lacks) -> Result<(), Fault> {
        let params = PatchParams {
            dry_run: self.is_dry_run,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = kube::api::Patch::<()>::Json(body(lacks));
        let request = Request::new(lacks.collection()).patch(&lacks.name, &params, &patch);
        let request = request.map_err(|error| Fault::new(Cause::Unreadable, error.to_string()))?;
        match timeout(PATIENCE, self.client.request_text(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.code == GATEWAY_TIMEOUT => {
                Err(Fault::new(Cause::Timeout, &status.message))
            }
            Ok(Err(error)) => Err(Fault::from(&error)),
            Err(_) => Err(Fault::late(PATIENCE)),
        }
    }
}

/// After which the next request would fail in the same way.
const fn is_loss(fault: &Fault) -> bool {
    matches!(
        fault.cause,
        Cause::Connection | Cause::Unauthorized | Cause::Anonymous
    )
}

/// Adds the annotation to the version that was judged: with another one the API server answers that there
/// is a conflict, so that no change of others is overwritten, nor an opt-out overlooked.
fn body(lacks: &Lacks) -> Patch {
    let version = PatchOperation::Replace(ReplaceOperation {
        path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
        value: lacks.version.as_str().into(),
    });
    let Patch(add) = patch::add_annotation(lacks.kind.template(), lacks.anchor);
    Patch(std::iter::once(version).chain(add).collect())
}
