//! From an API server, by one list of each kind.

use futures_util::future::join_all;
use kube::Client;

use super::{Gathered, Loaded};
use crate::api::{Cause, Fault};
use crate::cluster::load::list;
use crate::cluster::object::ObjectKey;
use crate::cluster::parts::Part;
use crate::cluster::{Index, ObjectKind};
use crate::domain::Network;
use crate::fleet::kind::Kind;

/// What to do where a right is missing.
const RIGHTS: &str = "the user of the kubeconfig needs the right to list them";

/// Why a cluster can't be listed.
#[derive(Debug, thiserror::Error)]
#[error("can't list {plural}: {}", fault.with_remedy(RIGHTS))]
pub struct ListError {
    /// The kind, as the API names it.
    plural: &'static str,
    /// What the list failed of.
    fault: Fault,
}

/// Lists every kind once. With a namespace, the VMs and what else concerns them alone is listed in it.
/// A kind whose CRD is not installed is empty, and one that is not allowed is left out and named.
///
/// # Errors
/// A list failed of anything else.
pub async fn from_api(
    client: &Client,
    network: &Network,
    namespace: Option<&str>,
) -> Result<Loaded, ListError> {
    let lists = Kind::ALL.iter().map(|kind| async {
        let lists = Lists {
            client,
            network,
            kind: *kind,
        };
        let listed = lists.listed(namespace).await;
        listed.map_err(|fault| ListError {
            plural: kind.plural(),
            fault,
        })
    });
    let lists = join_all(lists).await;
    let mut loaded = Loaded::default();
    let mut index = Index::default();
    for (kind, listed) in Kind::ALL.iter().zip(lists) {
        let Listed { gathered, refusal } = listed?;
        let is_whole = refusal.is_none();
        if !is_whole {
            loaded.fleet.unread.kinds.insert(*kind);
        }
        loaded
            .not_allowed
            .extend(refusal.map(|fault| (*kind, fault)));
        let Some(gathered) = gathered else { continue };
        loaded.unreadable.extend(gathered.unreadable);
        loaded.fleet.merge(gathered.fleet);
        for kind in views(*kind) {
            let objects = gathered.objects.iter();
            let objects = objects.filter(|object| object.kind() == *kind).cloned();
            if is_whole {
                index.reset(*kind, objects.collect());
            } else {
                for object in objects {
                    index.apply(object);
                }
            }
        }
    }
    loaded.view = index.view();
    Ok(loaded)
}

/// The kinds of a view that are made of a kind.
const fn views(kind: Kind) -> &'static [ObjectKind] {
    match kind {
        Kind::Node => &[ObjectKind::Node],
        Kind::Pod => &[ObjectKind::AgentPod, ObjectKind::TargetPod],
        Kind::Namespace => &[ObjectKind::Namespace],
        Kind::VirtualMachineInstance => &[ObjectKind::Vmi],
        Kind::VirtualMachineInstanceMigration => &[ObjectKind::Migration],
        Kind::KubeVirt => &[ObjectKind::KubeVirt],
        _ => &[],
    }
}

/// What came of the list of a kind.
struct Listed {
    /// What was listed.
    gathered: Option<Gathered>,
    /// Why not all of it was, where that is a right that is missing.
    refusal: Option<Fault>,
}

struct Lists<'a> {
    client: &'a Client,
    network: &'a Network,
    kind: Kind,
}

impl Lists<'_> {
    async fn listed(&self, namespace: Option<&str>) -> Result<Listed, Fault> {
        let restriction = namespace.filter(|_| concerns_vms_of_its_namespace(self.kind));
        let refusal = match self.list(restriction).await {
            Ok(gathered) => {
                return Ok(Listed {
                    gathered: Some(gathered),
                    refusal: None,
                });
            }
            Err(fault) if is_refusal(&fault) => fault,
            Err(fault) => return Err(fault),
        };
        // Better than none.
        let part = namespace.filter(|_| restriction.is_none() && self.kind.is_namespaced());
        let gathered = match part {
            Some(namespace) => match self.list(Some(namespace)).await {
                Ok(gathered) => Some(gathered),
                Err(fault) if is_refusal(&fault) => None,
                Err(fault) => return Err(fault),
            },
            None => None,
        };
        Ok(Listed {
            gathered,
            refusal: Some(refusal),
        })
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Gathered, Fault> {
        let path = path(self.kind, namespace);
        let listed = list(self.client, &path, None, |gathered: &mut Gathered, part| {
            self.take(gathered, part);
        });
        match listed.await {
            // Without the CRD.
            Err(fault) if fault.cause == Cause::NotFound && self.kind.is_custom() => {
                Ok(Gathered::default())
            }
            listed => listed,
        }
    }

    fn take(&self, gathered: &mut Gathered, part: Part) {
        match part {
            Part::Whole(text) => match str::from_utf8(&text) {
                Ok(text) => gathered.take(self.kind, self.network, text),
                Err(error) => {
                    gathered.refuse(self.kind, ObjectKey::new("", ""), &error.to_string());
                }
            },
            Part::TooLarge(named) => {
                let key = ObjectKey::new(&named.namespace, &named.name);
                gathered.refuse(self.kind, key, &named.problem());
            }
        }
    }
}

/// A user of one namespace may have the right to list a kind there alone, and no more is needed to judge
/// the VMs of that namespace.
const fn concerns_vms_of_its_namespace(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::VirtualMachine
            | Kind::VirtualMachineInstance
            | Kind::VirtualMachineInstanceMigration
            | Kind::PersistentVolumeClaim
            | Kind::ResourceQuota
    )
}

const fn is_refusal(fault: &Fault) -> bool {
    matches!(
        fault.cause,
        Cause::Forbidden | Cause::Anonymous | Cause::Unauthorized
    )
}

/// The path at which the API server has the objects of a kind.
fn path(kind: Kind, namespace: Option<&str>) -> String {
    let group = match kind.group() {
        "" => "/api".to_owned(),
        group => format!("/apis/{group}"),
    };
    let version = kind.version();
    let plural = kind.plural();
    match namespace {
        Some(namespace) => format!("{group}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("{group}/{version}/{plural}"),
    }
}
