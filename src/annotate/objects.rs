//! The objects that lack the annotation: read once, by the rules of the webhook.

mod api;
mod file;
mod surrounding;

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::api::Fault;
use crate::cluster::ClusterView;
use crate::cluster::file::SnapshotError;
use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::inject::{self, Outcome, Surroundings};
use crate::decide::retrofit::{self, Gap, Lacking, Reason, Step};
use crate::domain::{Binding, Provider};
use crate::fleet::finding::Finding;
use crate::fleet::judge::has_ended;
use crate::fleet::load::problem::in_words;
use crate::fleet::model;
use crate::fleet::model::VmStatus;
use crate::wire::kubevirt::{self, Kind};
use crate::wire::objects::{self, Identity};
use crate::wire::patch::Anchor;
use surrounding::Surrounding;

pub use api::from_api;
pub(super) use api::{get, plural};
pub use file::from_file;

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
    /// The kinds of VMs that a file has none of and should have.
    pub absent: Vec<Kind>,
    /// The namespaces that were read; none where none could be.
    pub namespaces: BTreeSet<String>,
    /// What could not be read.
    pub findings: Vec<Finding<'static>>,
    /// Because of it, objects may be missing here.
    pub is_partial: bool,
    /// The rules by which they were judged.
    pub rules: Rules,
}

impl Survey {
    /// Fails for a namespace that does not exist.
    ///
    /// # Errors
    /// The namespaces were read, and this is not among them.
    pub fn require_namespace(&self, name: &str) -> Result<(), SurveyError> {
        if self.namespaces.is_empty() || self.namespaces.contains(name) {
            Ok(())
        } else {
            Err(SurveyError::NoNamespace(name.to_owned()))
        }
    }
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
    /// The namespace is not there.
    #[error("there is no namespace {0:?}")]
    NoNamespace(String),
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
    /// The namespaces that could be read.
    namespaces: BTreeSet<String>,
    /// The KubeVirt CR could be read.
    knows_default: bool,
    provider: Provider,
}

/// An annotation that an object lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// How much of the way to the annotation the object has.
    pub anchor: Anchor,
    /// What was not read, and decides whether the object needs it.
    pub gap: Option<Gap>,
    /// It is not to have it.
    pub opts_out: bool,
}

impl Rules {
    /// What an object needs that lacks the annotation; `None` for one that has it or needs none.
    ///
    /// # Errors
    /// What can't be read, and in which field.
    pub fn lacks(&self, kind: Kind, namespace: &str, object: &str) -> Result<Option<Need>, String> {
        let (subject, anchor) = kubevirt::read(kind, object)?;
        let surroundings = Surroundings {
            default_binding: self.view.default_binding(),
            namespace_opted_out: self.view.namespace_opts_out(namespace),
        };
        let decision = inject::decide(&subject, surroundings);
        let gap = if !self.namespaces.contains(namespace) {
            Some(Gap::Namespace)
        } else if !self.knows_default && subject.binding == Binding::Default {
            Some(Gap::DefaultInterface)
        } else {
            None
        };
        let opts_out = decision.outcome == Outcome::OptedOut;
        let is_lacking = opts_out || decision.outcome == Outcome::Patched;
        Ok(is_lacking.then_some(Need {
            anchor,
            gap,
            opts_out,
        }))
    }
}

/// What the objects of one kind or several come to.
#[derive(Debug, Default)]
struct Gathered {
    /// Those that lack the annotation.
    lacking: Vec<Read>,
    known: BTreeSet<(Kind, ObjectKey)>,
    /// The objects that can't be read, with what is wrong with them.
    unreadable: Vec<String>,
    /// By the UIDs of the VMIs that have a launcher pod, whether it has an address of Kube-OVN.
    launchers: HashMap<String, bool>,
    /// A VM says that it runs.
    has_running_vm: bool,
    /// A VMI says that a VM made it.
    has_made_vmi: bool,
}

/// An object that lacks the annotation, as far as it is known by itself.
#[derive(Debug)]
struct Read {
    kind: Kind,
    namespace: String,
    name: String,
    uid: String,
    version: String,
    need: Need,
    /// It is a VM that says that it runs.
    runs: bool,
    /// It is a VMI that says that a VM made it.
    of_vm: bool,
}

impl Gathered {
    /// Takes an object of a kind that has a VMI template.
    fn take(&mut self, kind: Kind, rules: &Rules, text: &str) {
        if let Err(problem) = self.try_take(kind, rules, text) {
            self.unreadable
                .push(problem_of(kind.name(), text, &problem));
        }
    }

    fn try_take(&mut self, kind: Kind, rules: &Rules, text: &str) -> Result<(), String> {
        let identity = objects::read::<Identity<'_>>(text)?;
        let (namespace, name) = (identity.namespace(), identity.name());
        let (mut uid, mut runs, mut of_vm) = (String::new(), false, false);
        if kind == Kind::VirtualMachineInstance {
            let vmi: model::Vmi = objects::read(text)?;
            if has_ended(&vmi) {
                return Ok(());
            }
            uid = vmi.metadata.uid;
            let owners = objects::read::<Owned>(text)?.metadata.owner_references;
            of_vm = owners.iter().any(|owner| owner.kind == "VirtualMachine");
            self.has_made_vmi |= of_vm;
        }
        if kind == Kind::VirtualMachine {
            runs = objects::read::<Started>(text)?.status.runs();
            self.has_running_vm |= runs;
        }
        self.known.insert((kind, ObjectKey::new(namespace, name)));
        if let Some(need) = rules.lacks(kind, namespace, text)? {
            self.lacking.push(Read {
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid,
                version: identity.resource_version().unwrap_or_default().to_owned(),
                need,
                runs,
                of_vm,
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
        let follows = vm.is_some_and(|name| !name.is_empty());
        if let Some(vmi) = labels.get("kubevirt.io/created-by") {
            *self.launchers.entry(vmi.clone()).or_default() |= follows;
        }
    }

    fn merge(&mut self, other: Self) {
        self.lacking.extend(other.lacking);
        self.known.extend(other.known);
        self.unreadable.extend(other.unreadable);
        self.launchers.extend(other.launchers);
    }

    /// `findings` is what else could not be read.
    fn survey(
        self,
        rules: Rules,
        namespaces: BTreeSet<String>,
        mut findings: Vec<Finding<'static>>,
    ) -> Survey {
        let unreadable = self.unreadable.iter();
        findings.extend(unreadable.map(|text| Finding::of(Cause::Unreadable, text)));
        let lacking = self.lacking.into_iter().map(|read| {
            let key = ObjectKey::new(&read.namespace, &read.name);
            let exists = |kind| self.known.contains(&(kind, key.clone()));
            let lacking = match read.kind {
                Kind::VirtualMachine => Lacking::Vm {
                    runs: read.runs || exists(Kind::VirtualMachineInstance),
                },
                Kind::VirtualMachineInstance => Lacking::Vmi {
                    of_vm: read.of_vm || exists(Kind::VirtualMachine),
                    on_provider: self.launchers.get(&read.uid).copied(),
                },
                Kind::VirtualMachineInstanceReplicaSet => Lacking::ReplicaSet,
                Kind::VirtualMachinePool => Lacking::Pool,
            };
            let Read {
                kind,
                namespace,
                name,
                version,
                need,
                ..
            } = read;
            let Need {
                anchor,
                gap,
                opts_out,
            } = need;
            let step = match gap {
                _ if opts_out => Step::Leave(Reason::OptsOut),
                Some(gap) => Step::Unknown(gap),
                None => retrofit::step(lacking, rules.provider),
            };
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
            absent: Vec::new(),
            namespaces,
            findings,
            is_partial: !self.unreadable.is_empty(),
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
    format!("{kind}{key}: {}", in_words(problem))
}

const NAMESPACE: (&str, &str) = ("", "Namespace");
const KUBEVIRT: (&str, &str) = ("kubevirt.io", "KubeVirt");

#[derive(Deserialize)]
struct Annotated {
    metadata: model::Metadata,
}

#[derive(Deserialize)]
struct Started {
    #[serde(default)]
    status: VmStatus,
}

#[derive(Deserialize)]
struct Owned {
    metadata: OwnedMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnedMetadata {
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
}
