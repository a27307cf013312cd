//! What is read of a cluster beside the objects that may lack the annotation.

use std::collections::BTreeSet;

use super::{Gathered, NAMESPACE, Rules, problem_of};
use crate::cluster::object::Object;
use crate::cluster::{ObjectKind, read};
use crate::domain::Network;
use crate::wire::objects::{self, Identity};

/// The namespaces and the KubeVirt CR.
#[derive(Debug, Default)]
pub(super) struct Surrounding {
    pub(super) objects: Vec<Object>,
    pub(super) unreadable: Vec<String>,
    pub(super) namespaces: BTreeSet<String>,
    /// Those of them that could be read.
    pub(super) readable: BTreeSet<String>,
}

impl Surrounding {
    /// Takes an object of one of these kinds.
    pub(super) fn take(&mut self, (group, kind): (&str, &str), network: &Network, text: &str) {
        let own = objects::read::<Identity<'_>>(text);
        if (group, kind) == NAMESPACE
            && let Ok(own) = &own
        {
            self.namespaces.insert(own.name().to_owned());
        }
        let object = own.and_then(|own| {
            let name = own.name().to_owned();
            let object = read::of_kind(group, kind, [own.namespace(), &name], network, text)?;
            Ok((name, object))
        });
        match object {
            Ok((name, object)) => {
                if (group, kind) == NAMESPACE {
                    self.readable.insert(name);
                }
                self.objects.extend(object);
            }
            Err(problem) => self.unreadable.push(problem_of(kind, text, &problem)),
        }
    }

    /// Whether a KubeVirt CR was read.
    pub(super) fn has_kubevirt(&self) -> bool {
        let mut kinds = self.objects.iter().map(Object::kind);
        kinds.any(|kind| kind == ObjectKind::KubeVirt)
    }

    pub(super) fn rules(self, knows_default: bool, network: &Network) -> (Rules, Gathered) {
        let rules = Rules {
            view: self.objects.into_iter().collect(),
            namespaces: self.readable,
            knows_default,
            provider: network.provider,
        };
        let gathered = Gathered {
            unreadable: self.unreadable,
            ..Gathered::default()
        };
        (rules, gathered)
    }
}
