//! What is watched: which objects of the API server become which objects of the index.

use crate::cluster::object::{Object, ObjectKey, ObjectKind};
use crate::cluster::parts::Part;
use crate::cluster::read;
use crate::domain::{Network, Provider};
use crate::wire::objects::{self, agent_selector};

/// Every kind that is watched is served in this version of its group.
const VERSION: &str = "v1";

/// The labels of the launcher pods that a migration made. Hot-plug attachment pods have the second one
/// as well.
const TARGET_PODS: &str = "kubevirt.io=virt-launcher,kubevirt.io/migrationJobUID";

/// The objects of one kind that are watched.
#[derive(Clone, Debug)]
pub(super) struct WatchedResource {
    pub(super) kind: ObjectKind,
    /// The API group; empty for the core group.
    pub(super) group: &'static str,
    pub(super) plural: &'static str,
    /// The namespace, unless it is all of them.
    pub(super) namespace: Option<Box<str>>,
    /// The labels that they have.
    pub(super) selector: Option<String>,
    provider: Provider,
}

impl WatchedResource {
    /// Everything that is watched in a cluster with this network.
    pub(super) fn all(network: &Network) -> Vec<Self> {
        let kinds = ObjectKind::ALL.iter();
        kinds.map(|kind| Self::new(*kind, network)).collect()
    }

    /// The VMIs of one namespace.
    pub(super) fn vmis_of(namespace: &str) -> Self {
        Self::new(ObjectKind::Vmi, &Network::default()).in_namespace(namespace)
    }

    /// Those of one namespace, where the kind has namespaces.
    pub(super) fn in_namespace(self, namespace: &str) -> Self {
        if self.kind == ObjectKind::Node {
            return self;
        }
        Self {
            namespace: Some(namespace.into()),
            ..self
        }
    }

    pub(super) fn new(kind: ObjectKind, network: &Network) -> Self {
        let (group, plural) = match kind {
            ObjectKind::Node => ("", "nodes"),
            ObjectKind::AgentPod | ObjectKind::TargetPod => ("", "pods"),
            ObjectKind::Namespace => ("", "namespaces"),
            ObjectKind::Vmi => ("kubevirt.io", "virtualmachineinstances"),
            ObjectKind::Migration => ("kubevirt.io", "virtualmachineinstancemigrations"),
            ObjectKind::KubeVirt => ("kubevirt.io", "kubevirts"),
        };
        let (namespace, selector) = match kind {
            ObjectKind::AgentPod => (
                Some(network.agent_namespace.clone()),
                Some(agent_selector(network.provider)),
            ),
            ObjectKind::TargetPod => (None, Some(TARGET_PODS.to_owned())),
            _ => (None, None),
        };
        Self {
            kind,
            group,
            plural,
            namespace,
            selector,
            provider: network.provider,
        }
    }

    /// The path at which the API server has them.
    pub(super) fn path(&self) -> String {
        let group = match self.group {
            "" => "/api".to_owned(),
            group => format!("/apis/{group}"),
        };
        let namespace = self.namespace.as_deref();
        let namespace = namespace.map(|namespace| format!("/namespaces/{namespace}"));
        let namespace = namespace.unwrap_or_default();
        format!("{group}/{VERSION}{namespace}/{}", self.plural)
    }

    /// An object as far as it is held.
    pub(super) fn observe(&self, part: Part) -> Observed {
        match part {
            Part::Whole(text) => match str::from_utf8(&text) {
                Ok(text) => self.read(text),
                Err(error) => Observed::unreadable(error.to_string()),
            },
            Part::TooLarge(named) => Observed {
                key: ObjectKey::new(&named.namespace, &named.name),
                object: Err(named.problem()),
                version: named.resource_version,
            },
        }
    }

    fn read(&self, text: &str) -> Observed {
        match objects::read::<objects::Identity<'_>>(text) {
            Ok(identity) => {
                let key = ObjectKey::new(identity.namespace(), identity.name());
                Observed {
                    object: read::object(self.kind, self.provider, key.clone(), text),
                    key,
                    version: identity.resource_version().unwrap_or_default().to_owned(),
                }
            }
            Err(error) => Observed::unreadable(error),
        }
    }
}

/// An object as it came, cut down as soon as it is whole. One that can't be read is still one: its
/// neighbours in a list, and the watch, go on.
#[derive(Debug)]
pub(super) struct Observed {
    /// Its namespace and name, as far as they can be read.
    pub(super) key: ObjectKey,
    /// Its version, by which a watch goes on; empty where it has none.
    pub(super) version: String,
    /// What it is, or why it can't be read; `None` where it is of no use to berth.
    pub(super) object: Result<Option<Object>, String>,
}

impl Observed {
    fn unreadable(error: String) -> Self {
        Self {
            key: ObjectKey::new("", ""),
            version: String::new(),
            object: Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::parts::{Named, Parsed, Splitter};
    use crate::domain::Vmi;

    const WEB: &str = r#"{"metadata":{"namespace":"default","name":"web","uid":"1","resourceVersion":"7"},"status":{"phase":"Running","nodeName":"a"}}"#;

    fn vmis() -> WatchedResource {
        WatchedResource::vmis_of("default")
    }

    fn web() -> Object {
        Object::Vmi(Vmi {
            namespace: "default".into(),
            name: "web".into(),
            uid: "1".into(),
            machine_type: None,
            machine_type_resolved: false,
            node: Some("a".into()),
            sender: None,
            latest_migration: None,
        })
    }

    #[test]
    fn an_unreadable_item_of_a_list_leaves_its_neighbours() {
        let bad = r#"{"metadata":{"namespace":"default","name":"bad","uid":7}}"#;
        let list = format!(
            r#"{{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstanceList","metadata":{{"resourceVersion":"9"}},"items":[{bad},null,7,[],{{}},{WEB}]}}"#
        );
        let mut read = Vec::new();
        let mut splitter = Splitter::default();
        let split = splitter.push(list.as_bytes(), |parsed| {
            if let Parsed::Item(part) = parsed {
                let Observed { key, object, .. } = vmis().observe(part);
                read.push((key.to_string(), object));
            }
        });
        assert_eq!(split, Ok(()));
        let error = |place: &str, message: &str| (place.to_owned(), Err(message.to_owned()));
        assert_eq!(
            read,
            [
                error(
                    "default/bad",
                    "invalid type: integer `7`, expected a string in metadata.uid"
                ),
                error(
                    "",
                    "invalid type: null, expected an object at line 1 column 4"
                ),
                error(
                    "",
                    "invalid type: integer `7`, expected an object at line 1 column 1"
                ),
                error("", "expected an object, not an array"),
                error("", "missing field `metadata`"),
                ("default/web".to_owned(), Ok(Some(web()))),
            ]
        );
    }

    #[test]
    fn an_object_is_read_with_its_version() {
        let observed = vmis().observe(Part::Whole(WEB.into()));
        assert_eq!(observed.version, "7");
        assert_eq!(observed.object, Ok(Some(web())));
    }

    #[test]
    fn an_object_that_is_too_large_is_named() {
        let observed = vmis().observe(Part::TooLarge(Named {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            resource_version: "7".to_owned(),
            bytes: 9_000_000,
        }));
        assert_eq!(observed.version, "7");
        assert_eq!(observed.key.to_string(), "default/web");
        assert_eq!(
            observed.object.unwrap_err(),
            "it has 9000000 bytes, and no object of more than 8388608 is read"
        );
    }

    #[test]
    fn a_kind_is_asked_for_where_the_api_server_has_it() {
        let network = Network::default();
        let resources = WatchedResource::all(&network);
        let paths: Vec<_> = resources.iter().map(WatchedResource::path).collect();
        assert_eq!(
            paths,
            [
                "/api/v1/nodes",
                "/api/v1/namespaces/kube-system/pods",
                "/apis/kubevirt.io/v1/virtualmachineinstances",
                "/apis/kubevirt.io/v1/virtualmachineinstancemigrations",
                "/api/v1/pods",
                "/api/v1/namespaces",
                "/apis/kubevirt.io/v1/kubevirts",
            ]
        );
        assert_eq!(
            vmis().path(),
            "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
        );
    }
}
