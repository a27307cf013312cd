//! The objects that lack the annotation: read once, by the rules of the webhook.

mod api;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::api::Fault;
use crate::cluster::file::{self, FormatError, SnapshotError};
use crate::cluster::object::{Object, ObjectKey};
use crate::cluster::{ClusterView, read};
use crate::decide::inject::{self, Outcome, Surroundings};
use crate::decide::retrofit::{self, Lacking, Step};
use crate::domain::{Binding, Network, Provider};
use crate::fleet::judge::has_ended;
use crate::fleet::model;
use crate::wire::kubevirt::{self, Kind};
use crate::wire::objects::{self, Identity};
use crate::wire::patch::Anchor;

pub use api::from_api;
pub(super) use api::get;

/// What to do where a right is missing.
const RIGHTS: &str = "the user of the kubeconfig needs the right to list them";

/// An object that lacks the annotation.
#[derive(Clone, Debug)]
pub struct Lacks {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What to do about it.
    pub step: Step,
    /// Its version when it was read.
    pub version: String,
    /// How much of the way to the annotation it has.
    pub anchor: Anchor,
}

/// What was read of a cluster or a file.
#[derive(Debug)]
pub struct Survey {
    /// The objects that lack the annotation, by kind, namespace and name.
    pub lacking: Vec<Lacks>,
    /// The VMs and VMIs that there are, by kind, namespace and name.
    pub known: BTreeSet<(Kind, ObjectKey)>,
    /// What could not be read without which something may be missing here.
    pub unread: Vec<String>,
    /// What could not be read, and what that means.
    pub notes: Vec<String>,
    /// The rules by which they were judged.
    pub rules: Rules,
}

/// Why no object can be judged.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A list failed.
    #[error("can't list {plural}: {}", fault.with_remedy(RIGHTS))]
    List {
        /// The kind, as the API names it.
        plural: &'static str,
        /// What the list failed of.
        fault: Fault,
    },
    /// The namespace can't be read, and with it whether it opts out.
    #[error("can't read namespace {namespace}: {}", fault.with_remedy("the user of the kubeconfig needs the right to get it"))]
    Namespace {
        /// Its name.
        namespace: String,
        /// Why.
        fault: Fault,
    },
    /// The file can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// What the webhook knows of a cluster beside the object that it decides about.
#[derive(Debug)]
pub struct Rules {
    /// The namespaces and the KubeVirt CR.
    view: ClusterView,
    /// The KubeVirt CR could be read.
    knows_default: bool,
    provider: Provider,
}

impl Rules {
    /// How much of the way to the annotation an object has that lacks it; `None` for one that has it,
    /// needs none, or opts out.
    ///
    /// # Errors
    /// What can't be read, and in which field.
    pub fn lacks(
        &self,
        kind: Kind,
        namespace: &str,
        object: &str,
    ) -> Result<Option<Anchor>, String> {
        let (subject, anchor) = kubevirt::read(kind, object)?;
        if subject.binding == Binding::Default && !self.knows_default {
            return Err("its interface is KubeVirt's default one, which is in the KubeVirt CR, and the user of the kubeconfig may not list kubevirts".to_owned());
        }
        let surroundings = Surroundings {
            default_binding: self.view.default_binding(),
            namespace_opted_out: self.view.namespace_opts_out(namespace),
        };
        let decision = inject::decide(&subject, surroundings);
        Ok((decision.outcome == Outcome::Patched).then_some(anchor))
    }
}

/// What the objects of one kind or several come to.
#[derive(Debug, Default)]
struct Gathered {
    /// Those that lack the annotation.
    lacking: Vec<Read>,
    known: BTreeSet<(Kind, ObjectKey)>,
    unread: Vec<String>,
    /// The UIDs of the VMIs whose launcher pod has an address of Kube-OVN.
    following: HashSet<String>,
}

/// An object that lacks the annotation, as far as it is known by itself.
#[derive(Debug)]
struct Read {
    kind: Kind,
    namespace: String,
    name: String,
    uid: String,
    version: String,
    anchor: Anchor,
}

impl Gathered {
    /// Takes an object of a kind that has a VMI template.
    fn take(&mut self, kind: Kind, rules: &Rules, text: &str) {
        if let Err(problem) = self.try_take(kind, rules, text) {
            self.unread.push(problem_of(kind.name(), text, &problem));
        }
    }

    fn try_take(&mut self, kind: Kind, rules: &Rules, text: &str) -> Result<(), String> {
        let identity = objects::read::<Identity<'_>>(text)?;
        let (namespace, name) = (identity.namespace(), identity.name());
        let mut uid = String::new();
        if kind == Kind::VirtualMachineInstance {
            let vmi: model::Vmi = objects::read(text)?;
            if has_ended(&vmi) {
                return Ok(());
            }
            uid = vmi.metadata.uid;
        }
        self.known.insert((kind, ObjectKey::new(namespace, name)));
        if let Some(anchor) = rules.lacks(kind, namespace, text)? {
            self.lacking.push(Read {
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid,
                version: identity.resource_version().unwrap_or_default().to_owned(),
                anchor,
            });
        }
        Ok(())
    }

    fn take_pod(&mut self, text: &str) {
        // The network of a pod that can't be read is not known.
        let metadata = objects::read::<Annotated>(text).map(|pod| pod.metadata);
        let Ok(model::Metadata {
            labels,
            annotations,
            ..
        }) = metadata
        else {
            return;
        };
        // Kube-OVN names the VM where its address follows it from pod to pod: not with `--keep-vm-ip=false`,
        // and not on a pod of another network.
        let vm = annotations.get("ovn.kubernetes.io/virtualmachine");
        if vm.is_some_and(|name| !name.is_empty()) {
            self.following
                .extend(labels.get("kubevirt.io/created-by").cloned());
        }
    }

    fn merge(&mut self, other: Self) {
        self.lacking.extend(other.lacking);
        self.known.extend(other.known);
        self.unread.extend(other.unread);
        self.following.extend(other.following);
    }

    fn survey(self, rules: Rules, notes: Vec<String>) -> Survey {
        let lacking = self.lacking.into_iter().map(|read| {
            let key = ObjectKey::new(&read.namespace, &read.name);
            let exists = |kind| self.known.contains(&(kind, key.clone()));
            let lacking = match read.kind {
                Kind::VirtualMachine => Lacking::Vm {
                    runs: exists(Kind::VirtualMachineInstance),
                },
                Kind::VirtualMachineInstance => Lacking::Vmi {
                    of_vm: exists(Kind::VirtualMachine),
                    on_provider: self.following.contains(&read.uid),
                },
                Kind::VirtualMachineInstanceReplicaSet => Lacking::ReplicaSet,
                Kind::VirtualMachinePool => Lacking::Pool,
            };
            let Read {
                kind,
                namespace,
                name,
                version,
                anchor,
                ..
            } = read;
            let step = retrofit::step(lacking, rules.provider);
            Lacks {
                kind,
                namespace,
                name,
                step,
                version,
                anchor,
            }
        });
        let mut lacking: Vec<Lacks> = lacking.collect();
        lacking.sort_by(|one, next| one.place().cmp(&next.place()));
        Survey {
            lacking,
            known: self.known,
            unread: self.unread,
            notes,
            rules,
        }
    }
}

impl Lacks {
    /// A VM and its VMI are neighbours.
    fn place(&self) -> (&str, &str, Kind) {
        (&self.namespace, &self.name, self.kind)
    }
}

/// An object that can't be read, with what is wrong with it.
fn problem_of(kind: &str, text: &str, problem: &str) -> String {
    let key = match objects::read::<Identity<'_>>(text) {
        Ok(own) => format!(" {}", ObjectKey::new(own.namespace(), own.name())),
        Err(_) => String::new(),
    };
    format!("{kind}{key}: {problem}")
}

/// The namespaces and the KubeVirt CR.
#[derive(Debug, Default)]
struct Surrounding {
    objects: Vec<Object>,
    unread: Vec<String>,
}

impl Surrounding {
    /// Takes an object of one of these kinds.
    fn take(&mut self, (group, kind): (&str, &str), network: &Network, text: &str) {
        let own = objects::read::<Identity<'_>>(text);
        let object = own.and_then(|own| {
            read::of_kind(group, kind, [own.namespace(), own.name()], network, text)
        });
        match object {
            Ok(object) => self.objects.extend(object),
            Err(problem) => self.unread.push(problem_of(kind, text, &problem)),
        }
    }

    fn rules(self, knows_default: bool, network: &Network) -> (Rules, Gathered) {
        let rules = Rules {
            view: self.objects.into_iter().collect(),
            knows_default,
            provider: network.provider,
        };
        let gathered = Gathered {
            unread: self.unread,
            ..Gathered::default()
        };
        (rules, gathered)
    }
}

const NAMESPACE: (&str, &str) = ("", "Namespace");
const KUBEVIRT: (&str, &str) = ("kubevirt.io", "KubeVirt");

#[derive(Deserialize)]
struct Annotated {
    metadata: model::Metadata,
}

/// Reads a file.
///
/// # Errors
/// The file is not one that kubectl wrote.
pub fn from_file(path: &Path, network: &Network) -> Result<Survey, SurveyError> {
    Ok(file::load_with(path, |text| parse(text, network))?)
}

fn parse(text: &str, network: &Network) -> Result<Survey, FormatError> {
    let documents = file::documents(text)?;
    let objects = file::objects(&documents)?;
    let mut surrounding = Surrounding::default();
    let mut notes =
        vec!["the file has no namespaces: which of them opt out is not known".to_owned()];
    for (identity, text) in &objects {
        let kind = (identity.group.as_str(), identity.kind.as_str());
        if kind == NAMESPACE || kind == KUBEVIRT {
            surrounding.take(kind, network, text);
        }
        if kind == NAMESPACE {
            notes.clear();
        }
    }
    let (rules, mut gathered) = surrounding.rules(true, network);
    for (identity, text) in objects {
        if let Some(kind) = Kind::of(&identity.group, &identity.kind) {
            gathered.take(kind, &rules, text);
        } else if identity.group.is_empty() && identity.kind == "Pod" {
            gathered.take_pod(text);
        }
    }
    Ok(gathered.survey(rules, notes))
}
