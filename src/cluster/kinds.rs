//! What is watched: which objects of the API server become which objects of the index.

use std::marker::PhantomData;

use crate::cluster::object::{Object, ObjectKind, Place};
use crate::cluster::parts::{LARGEST_OBJECT, Part};
use crate::cluster::read;
use crate::domain::Provider;
use crate::wire::objects;

/// A kind of object to watch.
pub(super) trait Watched: Send + Sync + 'static {
    const KIND: ObjectKind;
    const GROUP: &'static str;
    const PLURAL: &'static str;

    /// Where the API server has them, in one namespace or in all.
    fn path(namespace: Option<&str>) -> String {
        let group = match Self::GROUP {
            "" => "/api".to_owned(),
            group => format!("/apis/{group}"),
        };
        let namespace = namespace.map(|namespace| format!("/namespaces/{namespace}"));
        let namespace = namespace.unwrap_or_default();
        format!("{group}/{VERSION}{namespace}/{}", Self::PLURAL)
    }

    /// Reads an object; `None` for one that is of no use to berth.
    fn read(text: &str, place: Place) -> Result<Option<Object>, String>;
}

/// Every kind that is watched is served in this version of its group.
const VERSION: &str = "v1";

/// A network provider as a type, for the kinds that each of them writes in its own way.
pub(super) trait Provided: Send + Sync + 'static {
    const PROVIDER: Provider;
}

pub(super) struct KubeOvn;

impl Provided for KubeOvn {
    const PROVIDER: Provider = Provider::KubeOvn;
}

pub(super) struct OvnKubernetes;

impl Provided for OvnKubernetes {
    const PROVIDER: Provider = Provider::OvnKubernetes;
}

pub(super) struct Nodes<P>(PhantomData<P>);

impl<P: Provided> Watched for Nodes<P> {
    const KIND: ObjectKind = ObjectKind::Node;
    const GROUP: &'static str = "";
    const PLURAL: &'static str = "nodes";

    fn read(text: &str, _: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|node| Some(read::node(P::PROVIDER, node)))
    }
}

pub(super) struct AgentPods<P>(PhantomData<P>);

impl<P: Provided> Watched for AgentPods<P> {
    const KIND: ObjectKind = ObjectKind::AgentPod;
    const GROUP: &'static str = "";
    const PLURAL: &'static str = "pods";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|pod| read::agent_pod(P::PROVIDER, place, &pod))
    }
}

pub(super) struct TargetPods;

impl Watched for TargetPods {
    const KIND: ObjectKind = ObjectKind::TargetPod;
    const GROUP: &'static str = "";
    const PLURAL: &'static str = "pods";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|pod| read::target_pod(place, &pod))
    }
}

pub(super) struct Vmis;

impl Watched for Vmis {
    const KIND: ObjectKind = ObjectKind::Vmi;
    const GROUP: &'static str = "kubevirt.io";
    const PLURAL: &'static str = "virtualmachineinstances";

    fn read(text: &str, _: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|vmi| Some(read::vmi(vmi)))
    }
}

pub(super) struct Migrations;

impl Watched for Migrations {
    const KIND: ObjectKind = ObjectKind::Migration;
    const GROUP: &'static str = "kubevirt.io";
    const PLURAL: &'static str = "virtualmachineinstancemigrations";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|migration| Some(read::migration(place, &migration)))
    }
}

pub(super) struct Namespaces;

impl Watched for Namespaces {
    const KIND: ObjectKind = ObjectKind::Namespace;
    const GROUP: &'static str = "";
    const PLURAL: &'static str = "namespaces";

    fn read(text: &str, _: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|namespace| Some(read::namespace(&namespace)))
    }
}

pub(super) struct KubeVirts;

impl Watched for KubeVirts {
    const KIND: ObjectKind = ObjectKind::KubeVirt;
    const GROUP: &'static str = "kubevirt.io";
    const PLURAL: &'static str = "kubevirts";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|kubevirt| Some(read::kubevirt(place, &kubevirt)))
    }
}

/// An object as it came, cut down as soon as it is whole. One that can't be read is still one: its
/// neighbours in a list, and the watch, go on.
#[derive(Debug)]
pub(super) struct Seen<K> {
    /// Where it is, as far as that can be read.
    place: Place,
    version: Option<String>,
    object: Result<Option<Object>, String>,
    kind: PhantomData<K>,
}

impl<K: Watched> Seen<K> {
    /// An object as far as it is held.
    pub(super) fn of(part: Part) -> Self {
        match part {
            Part::Whole(text) => match str::from_utf8(&text) {
                Ok(text) => Self::read(text),
                Err(error) => Self::unreadable(error.to_string()),
            },
            Part::TooLarge(named) => Self {
                place: Place::new(&named.namespace, &named.name),
                version: Some(named.resource_version).filter(|version| !version.is_empty()),
                object: Err(format!(
                    "it has {} bytes, and no object of more than {LARGEST_OBJECT} is read",
                    named.bytes
                )),
                kind: PhantomData,
            },
        }
    }

    fn read(text: &str) -> Self {
        match objects::read::<objects::Identity<'_>>(text) {
            Ok(identity) => {
                let place = Place::new(identity.namespace(), identity.name());
                Self {
                    object: K::read(text, place.clone()),
                    place,
                    version: identity.resource_version().map(str::to_owned),
                    kind: PhantomData,
                }
            }
            Err(error) => Self::unreadable(error),
        }
    }

    fn unreadable(error: String) -> Self {
        Self {
            place: Place::new("", ""),
            version: None,
            object: Err(error),
            kind: PhantomData,
        }
    }

    /// The version of it, by which a watch goes on.
    pub(super) fn version(&self) -> Option<&str> {
        self.version
            .as_deref()
            .filter(|version| !version.is_empty())
    }

    /// Where it is, and what it is or why it can't be read.
    pub(super) fn into_parts(self) -> (Place, Result<Option<Object>, String>) {
        (self.place, self.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::parts::{Named, Parsed, Splitter};
    use crate::domain::Vmi;

    const WEB: &str = r#"{"metadata":{"namespace":"default","name":"web","uid":"1","resourceVersion":"7"},"status":{"phase":"Running","nodeName":"a"}}"#;

    fn web() -> Object {
        Object::Vmi(Vmi {
            namespace: "default".into(),
            name: "web".into(),
            uid: "1".into(),
            machine_type: None,
            machine_type_resolved: false,
            node: Some("a".into()),
            sender: None,
        })
    }

    #[test]
    fn what_can_not_be_read_leaves_its_neighbours_in_a_list() {
        let bad = r#"{"metadata":{"namespace":"default","name":"bad","uid":7}}"#;
        let list = format!(
            r#"{{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstanceList","metadata":{{"resourceVersion":"9"}},"items":[{bad},null,7,[],{{}},{WEB}]}}"#
        );
        let mut read = Vec::new();
        let mut splitter = Splitter::default();
        let split = splitter.push(list.as_bytes(), |parsed| {
            if let Parsed::Item(part) = parsed {
                let (place, object) = Seen::<Vmis>::of(part).into_parts();
                read.push((place.to_string(), object));
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
                error("", "invalid type: null, expected an object"),
                error("", "invalid type: integer `7`, expected an object"),
                error("", "expected an object, not an array"),
                error("", "missing field `metadata`"),
                ("default/web".to_owned(), Ok(Some(web()))),
            ]
        );
    }

    #[test]
    fn an_object_is_read_with_its_version() {
        let seen = Seen::<Vmis>::of(Part::Whole(WEB.into()));
        assert_eq!(seen.version(), Some("7"));
        assert_eq!(seen.into_parts().1, Ok(Some(web())));
    }

    #[test]
    fn an_object_that_is_too_large_is_named() {
        let seen = Seen::<Vmis>::of(Part::TooLarge(Named {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            resource_version: "7".to_owned(),
            bytes: 9_000_000,
        }));
        assert_eq!(seen.version(), Some("7"));
        let (place, object) = seen.into_parts();
        assert_eq!(place.to_string(), "default/web");
        assert_eq!(
            object.unwrap_err(),
            "it has 9000000 bytes, and no object of more than 8388608 is read"
        );
    }

    #[test]
    fn a_kind_is_asked_for_where_the_api_server_has_it() {
        assert_eq!(Namespaces::path(None), "/api/v1/namespaces");
        assert_eq!(
            AgentPods::<KubeOvn>::path(Some("kube-system")),
            "/api/v1/namespaces/kube-system/pods"
        );
        assert_eq!(
            Vmis::path(Some("default")),
            "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
        );
    }
}
