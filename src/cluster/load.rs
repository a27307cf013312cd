//! The cluster listed once, for a command that answers and ends. Lists are read as the watch reads
//! them: in pages, with one object in memory at a time.

use std::time::Duration;

use futures_util::future::join_all;
use kube::Client;
use tokio::time::timeout;

use crate::api::{Cause, Fault};
use crate::cluster::kinds::{Observed, WatchedResource};
use crate::cluster::object::{Object, ObjectKey, ObjectKind};
use crate::cluster::source::Source;
use crate::cluster::watch::RIGHTS;
use crate::cluster::{Index, View};
use crate::domain::Network;

/// The longest that the list of one kind may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// How often a list that expires between two pages is begun again.
const RESTARTS: usize = 2;

/// What was listed.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The cluster, as far as it could be read. A kind that was not allowed is not listed in it.
    pub view: View,
    /// The kinds that the API server does not allow berth to list, with its words.
    pub not_allowed: Vec<(ObjectKind, Fault)>,
    /// The objects that could not be read, with what is wrong with them. The view lacks them.
    pub unreadable: Vec<(ObjectKind, ObjectKey, String)>,
}

/// Why a cluster can't be listed.
#[derive(Debug, thiserror::Error)]
#[error("can't list {plural}: {}", fault.with_remedy(RIGHTS))]
pub struct ListError {
    /// The kind, as the API names it.
    plural: &'static str,
    /// What the list failed of.
    fault: Fault,
}

/// Lists every kind once. A kind whose CRD is not installed is empty, and one that is not allowed is
/// left out and named.
///
/// # Errors
/// A list failed of anything else.
pub async fn load_once(client: &Client, network: &Network) -> Result<Loaded, ListError> {
    let resources = WatchedResource::all(network);
    let lists = resources.iter().map(|resource| {
        let list = list(Source::new(client.clone(), resource.clone()));
        async {
            let late = |_| {
                let message = format!("the list did not end within {DEADLINE:?}");
                Err(Fault::new(Cause::Timeout, message))
            };
            timeout(DEADLINE, list).await.unwrap_or_else(late)
        }
    });
    let lists = join_all(lists).await;
    let mut index = Index::default();
    let mut loaded = Loaded::default();
    for (resource, listed) in resources.iter().zip(lists) {
        let kind = resource.kind;
        match listed {
            Ok(Listed {
                objects,
                unreadable,
            }) => {
                index.reset(kind, objects);
                let unreadable = unreadable.into_iter();
                let of_kind = unreadable.map(|(key, error)| (kind, key, error));
                loaded.unreadable.extend(of_kind);
            }
            // As without the CRD.
            Err(fault) if fault.cause == Cause::NotFound => {
                index.reset(kind, Vec::new());
            }
            Err(fault) if matches!(fault.cause, Cause::Forbidden | Cause::Anonymous) => {
                loaded.not_allowed.push((kind, fault));
            }
            Err(fault) => {
                return Err(ListError {
                    plural: resource.plural,
                    fault,
                });
            }
        }
    }
    loaded.view = index.view();
    Ok(loaded)
}

#[derive(Default)]
struct Listed {
    objects: Vec<Object>,
    unreadable: Vec<(ObjectKey, String)>,
}

/// One full list of a kind.
async fn list(source: Source) -> Result<Listed, Fault> {
    let mut restarts = 0;
    loop {
        let mut listed = Listed::default();
        let list = source.list(|Observed { key, object, .. }| match object {
            Ok(object) => listed.objects.extend(object),
            Err(error) => listed.unreadable.push((key, error)),
        });
        match list.await {
            Ok(_) => return Ok(listed),
            Err(fault) if fault.cause == Cause::Expired && restarts < RESTARTS => restarts += 1,
            Err(fault) => return Err(fault),
        }
    }
}
