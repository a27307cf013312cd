//! From an API server: one list of each kind.

use futures_util::future::{join, try_join_all};
use kube::Client;

use super::{Gathered, KUBEVIRT, Lacks, NAMESPACE, Rules, Surrounding, Survey, SurveyError};
use crate::annotate::apply::PATIENCE;
use crate::api::{Cause, Fault, within};
use crate::cluster::load::list;
use crate::cluster::object::ObjectKey;
use crate::cluster::parts::Part;
use crate::decide::causes;
use crate::domain::Network;
use crate::fleet::finding::Finding;
use crate::wire::kubevirt::Kind;

/// Selects the pods of VMs.
const LAUNCHERS: &str = "kubevirt.io=virt-launcher";

/// Reads a cluster, or one namespace of it.
///
/// # Errors
/// What decides could not be read: namespaces, VMs or VMIs.
pub async fn from_api(
    client: &Client,
    network: &Network,
    namespace: Option<&str>,
) -> Result<Survey, SurveyError> {
    let mut surrounding = Surrounding::default();
    match namespace {
        Some(name) => {
            let text = get(client, &format!("/api/v1/namespaces/{name}")).await;
            let text = text.map_err(|fault| match fault.cause {
                Cause::NotFound => SurveyError::NoNamespace(name.to_owned()),
                _ => SurveyError::Namespace {
                    namespace: name.to_owned(),
                    fault,
                },
            })?;
            surrounding.take(NAMESPACE, network, &text);
        }
        None => surround(client, network, &mut surrounding, NAMESPACE)
            .await
            .map_err(|fault| refused("namespaces", fault))?,
    }
    let mut findings = Vec::new();
    let unreadable = surrounding.unreadable.len();
    let knows_default = match surround(client, network, &mut surrounding, KUBEVIRT).await {
        // Without a CR there is KubeVirt's own default. One that can't be read may have another.
        Ok(()) => surrounding.unreadable.len() == unreadable,
        // Without KubeVirt there are no VMs either.
        Err(fault) if fault.cause == Cause::NotFound => true,
        Err(fault) if fault.cause == Cause::Forbidden => {
            findings.push(not_listed("kubevirts", &fault));
            false
        }
        Err(fault) => return Err(refused("kubevirts", fault)),
    };
    let namespaces = std::mem::take(&mut surrounding.namespaces);
    let (rules, mut gathered) = surrounding.rules(knows_default, network);
    let lists = Kind::ALL
        .iter()
        .map(|kind| list_kind(client, &rules, *kind, namespace));
    let (lists, pods) = join(try_join_all(lists), list_pods(client, namespace)).await;
    for (kind, listed) in Kind::ALL.iter().zip(lists?) {
        match listed {
            Ok(listed) => gathered.merge(listed),
            Err(fault) => findings.push(not_listed(plural(*kind), &fault)),
        }
    }
    match pods {
        Ok(listed) => gathered.merge(listed),
        Err(fault) => findings.push(not_listed("pods", &fault)),
    }
    Ok(gathered.survey(rules, namespaces, findings))
}

/// What is said of a kind that is not read.
fn not_listed(plural: &str, fault: &Fault) -> Finding<'static> {
    Finding::of(causes::Cause::NotAllowed, &format!("{plural}: {fault}"))
}

fn refused(plural: &'static str, fault: Fault) -> SurveyError {
    SurveyError::List { plural, fault }
}

/// The JSON of the object at a path.
pub(in crate::annotate) async fn get(client: &Client, path: &str) -> Result<String, Fault> {
    let request = hyper::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| Fault::new(Cause::Unreadable, error.to_string()))?;
    within(PATIENCE, client.request_text(request)).await
}

/// Lists namespaces or KubeVirt CRs.
async fn surround(
    client: &Client,
    network: &Network,
    into: &mut Surrounding,
    kind: (&str, &str),
) -> Result<(), Fault> {
    let path = if kind == NAMESPACE {
        "/api/v1/namespaces"
    } else {
        "/apis/kubevirt.io/v1/kubevirts"
    };
    let take = |listed: &mut Surrounding, part| {
        if let Some(text) = whole(&part) {
            listed.take(kind, network, text);
        }
    };
    let listed = list(client, path, None, take).await?;
    into.objects.extend(listed.objects);
    into.unreadable.extend(listed.unreadable);
    into.namespaces.extend(listed.namespaces);
    into.readable.extend(listed.readable);
    Ok(())
}

/// The objects of a kind; of pools and replica sets, which are never patched, why they can't be listed.
async fn list_kind(
    client: &Client,
    rules: &Rules,
    kind: Kind,
    namespace: Option<&str>,
) -> Result<Result<Gathered, Fault>, SurveyError> {
    let mut listed = Ok(Gathered::default());
    for version in versions(kind) {
        let path = path(kind, version, namespace);
        let take = |gathered: &mut Gathered, part| match (whole(&part), &part) {
            (Some(text), _) => gathered.take(kind, rules, text),
            (None, Part::TooLarge(named)) => {
                let key = ObjectKey::new(&named.namespace, &named.name);
                let problem = named.problem();
                gathered
                    .unreadable
                    .push(format!("{} {key}: {problem}", kind.name()));
            }
            (None, Part::Whole(_)) => {
                let problem = format!("{}: not UTF-8", kind.name());
                gathered.unreadable.push(problem);
            }
        };
        match list(client, &path, None, take).await {
            // Another version, or no such CRD.
            Err(fault) if fault.cause == Cause::NotFound => {}
            other => {
                listed = other;
                break;
            }
        }
    }
    match listed {
        Err(fault) if matches!(kind, Kind::VirtualMachine | Kind::VirtualMachineInstance) => {
            Err(refused(plural(kind), fault))
        }
        listed => Ok(listed),
    }
}

async fn list_pods(client: &Client, namespace: Option<&str>) -> Result<Gathered, Fault> {
    let path = match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    };
    let take = |gathered: &mut Gathered, part| {
        if let Some(text) = whole(&part) {
            gathered.take_pod(text);
        }
    };
    list(client, &path, Some(LAUNCHERS), take).await
}

fn whole(part: &Part) -> Option<&str> {
    match part {
        Part::Whole(text) => str::from_utf8(text).ok(),
        Part::TooLarge(_) => None,
    }
}

/// The name of a kind in a path of the API.
pub(in crate::annotate) const fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::VirtualMachine => "virtualmachines",
        Kind::VirtualMachineInstance => "virtualmachineinstances",
        Kind::VirtualMachineInstanceReplicaSet => "virtualmachineinstancereplicasets",
        Kind::VirtualMachinePool => "virtualmachinepools",
    }
}

/// The versions of a kind's API, the one to be used first.
const fn versions(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::VirtualMachinePool => &["v1beta1", "v1alpha1"],
        _ => &["v1"],
    }
}

fn path(kind: Kind, version: &str, namespace: Option<&str>) -> String {
    let (group, plural) = (kind.group(), plural(kind));
    match namespace {
        Some(namespace) => format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("/apis/{group}/{version}/{plural}"),
    }
}

impl Lacks {
    /// The collection at which the API server has it.
    pub(in crate::annotate) fn collection(&self) -> String {
        let version = versions(self.kind).first().copied().unwrap_or_default();
        path(self.kind, version, Some(&self.namespace))
    }
}
