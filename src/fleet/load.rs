//! The inventory of a cluster, taken once: from an API server, by one list of each kind, or from a file.
//! The same objects make the [`Fleet`] and the [`ClusterView`] of berth's own checks.

mod api;
mod file;
pub(crate) mod problem;

use std::borrow::Borrow;

use crate::api::Fault;
use crate::cluster::object::{Object, ObjectKey};
use crate::cluster::{ClusterView, read as view};
use crate::domain::Network;
use crate::fleet::kind::Kind;
use crate::fleet::{Fleet, judge, read};
use crate::wire::objects::{self, Identity};

pub use api::{ListError, from_api};
pub use file::from_file;

/// A cluster as far as it could be read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What decides whether a VM can migrate.
    pub fleet: Fleet,
    /// What berth's own checks of nodes are made on.
    pub view: ClusterView,
    /// The kinds that the API server does not allow to list, with its words. Of pods and network
    /// attachment definitions the fleet may have those of one namespace.
    pub not_allowed: Vec<(Kind, Fault)>,
    /// The kinds that every cluster with VMs has, and a file has none of. VMs need no VMIs, and VMIs that no VM made
    /// need no VMs.
    pub absent: Vec<Kind>,
    /// The objects that could not be read whole, with what is wrong with them.
    pub unreadable: Vec<(Kind, ObjectKey, String)>,
}

impl Loaded {
    /// Why VMs of the kind that is asked for may exist that are not among those that were read: a file has none of
    /// the kind, or it could not be listed.
    #[must_use]
    pub fn why_unlisted(&self, asked: Option<judge::Kind>) -> Option<String> {
        let of_name = [Kind::VirtualMachine, Kind::VirtualMachineInstance];
        let kinds = match asked {
            None => &of_name[..],
            Some(judge::Kind::VirtualMachine) => &of_name[..1],
            Some(judge::Kind::VirtualMachineInstance) => &of_name[1..],
        };
        if let Some(absent) = kinds.iter().find(|kind| self.absent.contains(kind)) {
            return Some(format!("the file has no {}", absent.plural()));
        }
        let mut refused = self.not_allowed.iter();
        let (kind, fault) = refused.find(|(kind, _)| kinds.contains(kind))?;
        Some(format!("{} could not be listed: {fault}", kind.plural()))
    }
}

/// Objects of one kind or several, as they were read.
#[derive(Debug, Default)]
struct Gathered {
    fleet: Fleet,
    objects: Vec<Object>,
    unreadable: Vec<(Kind, ObjectKey, String)>,
}

impl Gathered {
    /// Takes an object.
    fn take(&mut self, kind: Kind, network: &Network, text: &str) {
        let identity = match objects::read::<Identity<'_>>(text) {
            Ok(identity) => identity,
            Err(problem) => return self.refuse(kind, ObjectKey::new("", ""), &problem),
        };
        let name = identity.name();
        let namespace = if kind.is_namespaced() {
            identity.namespace()
        } else {
            ""
        };
        let key = ObjectKey::new(namespace, name);
        if name.is_empty() {
            return self.refuse(kind, key, "metadata.name is empty");
        }
        let read = read::object(&mut self.fleet, kind, &key, name, text);
        let seen = view::of_kind(kind.group(), kind.name(), [namespace, name], network, text);
        let seen = seen.map(|object| self.objects.extend(object));
        // An object that neither can read has one thing wrong with it.
        if let Err(problem) = read.and(seen) {
            self.refuse(kind, key, &problem);
        }
    }

    fn refuse(&mut self, kind: Kind, key: ObjectKey, problem: &str) {
        let unread = &mut self.fleet.unread;
        if has_name(&key) {
            unread.objects.insert((kind, key.clone()));
        } else {
            // It may be any.
            unread.kinds.insert(kind);
        }
        let problem = problem::in_words(problem);
        self.unreadable.push((kind, key, problem));
    }
}

/// Whether the name of an object could be read.
#[must_use]
pub fn has_name(key: &ObjectKey) -> bool {
    let text: &str = key.borrow();
    !text.is_empty() && !text.ends_with('/')
}
