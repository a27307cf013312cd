//! What is watched: which objects of the API server become which objects of the index.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::cluster::object::{Object, ObjectKind, Place};
use crate::cluster::read;
use crate::domain::Provider;
use crate::wire::objects;

/// A kind of object to watch.
pub(super) trait Watched: Send + Sync + 'static {
    const KIND: ObjectKind;
    const GROUP: &'static str;
    const API_KIND: &'static str;
    const PLURAL: &'static str;

    /// Reads an object; `None` for one that is of no use to berth.
    fn read(text: &str, place: Place) -> Result<Option<Object>, String>;
}

/// Every kind that is watched is served in this version of its group.
const VERSION: &str = "v1";

/// A network provider as a type: kube decodes an object knowing nothing but its type.
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
    const API_KIND: &'static str = "Node";
    const PLURAL: &'static str = "nodes";

    fn read(text: &str, _: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|node| Some(read::node(P::PROVIDER, node)))
    }
}

pub(super) struct AgentPods<P>(PhantomData<P>);

impl<P: Provided> Watched for AgentPods<P> {
    const KIND: ObjectKind = ObjectKind::AgentPod;
    const GROUP: &'static str = "";
    const API_KIND: &'static str = "Pod";
    const PLURAL: &'static str = "pods";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|pod| read::agent_pod(P::PROVIDER, place, &pod))
    }
}

pub(super) struct TargetPods;

impl Watched for TargetPods {
    const KIND: ObjectKind = ObjectKind::TargetPod;
    const GROUP: &'static str = "";
    const API_KIND: &'static str = "Pod";
    const PLURAL: &'static str = "pods";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|pod| read::target_pod(place, &pod))
    }
}

pub(super) struct Vmis;

impl Watched for Vmis {
    const KIND: ObjectKind = ObjectKind::Vmi;
    const GROUP: &'static str = "kubevirt.io";
    const API_KIND: &'static str = "VirtualMachineInstance";
    const PLURAL: &'static str = "virtualmachineinstances";

    fn read(text: &str, _: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|vmi| Some(read::vmi(vmi)))
    }
}

pub(super) struct Migrations;

impl Watched for Migrations {
    const KIND: ObjectKind = ObjectKind::Migration;
    const GROUP: &'static str = "kubevirt.io";
    const API_KIND: &'static str = "VirtualMachineInstanceMigration";
    const PLURAL: &'static str = "virtualmachineinstancemigrations";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|migration| Some(read::migration(place, &migration)))
    }
}

pub(super) struct Namespaces;

impl Watched for Namespaces {
    const KIND: ObjectKind = ObjectKind::Namespace;
    const GROUP: &'static str = "";
    const API_KIND: &'static str = "Namespace";
    const PLURAL: &'static str = "namespaces";

    fn read(text: &str, _: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|namespace| Some(read::namespace(&namespace)))
    }
}

pub(super) struct KubeVirts;

impl Watched for KubeVirts {
    const KIND: ObjectKind = ObjectKind::KubeVirt;
    const GROUP: &'static str = "kubevirt.io";
    const API_KIND: &'static str = "KubeVirt";
    const PLURAL: &'static str = "kubevirts";

    fn read(text: &str, place: Place) -> Result<Option<Object>, String> {
        objects::read(text).map(|kubevirt| Some(read::kubevirt(place, &kubevirt)))
    }
}

/// An object as it came, cut down while it is decoded. One that can't be read is still one: its
/// neighbours in a list, and the watch, go on.
pub(super) struct Seen<K> {
    /// Name, namespace and resource version, as far as they can be read; nothing else.
    meta: ObjectMeta,
    object: Result<Option<Object>, String>,
    kind: PhantomData<K>,
}

impl<K: Watched> Seen<K> {
    fn read(text: &str) -> Self {
        let (meta, object) = match objects::read::<objects::Identity<'_>>(text) {
            Ok(identity) => {
                let place = Place::new(identity.namespace(), identity.name());
                (meta(&identity), K::read(text, place))
            }
            Err(error) => (ObjectMeta::default(), Err(error)),
        };
        Self {
            meta,
            object,
            kind: PhantomData,
        }
    }

    /// Where it is, and what it is or why it can't be read.
    pub(super) fn into_parts(self) -> (Place, Result<Option<Object>, String>) {
        let Self { meta, object, .. } = self;
        let namespace = meta.namespace.unwrap_or_default();
        (
            Place::new(&namespace, &meta.name.unwrap_or_default()),
            object,
        )
    }
}

fn meta(identity: &objects::Identity<'_>) -> ObjectMeta {
    let namespace = identity.namespace();
    ObjectMeta {
        name: Some(identity.name().to_owned()),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        resource_version: identity.resource_version().map(str::to_owned),
        ..ObjectMeta::default()
    }
}

impl<'de, K: Watched> Deserialize<'de> for Seen<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self::read(raw.get()))
    }
}

impl<K> Clone for Seen<K> {
    fn clone(&self) -> Self {
        let Self { meta, object, kind } = self;
        Self {
            meta: meta.clone(),
            object: object.clone(),
            kind: *kind,
        }
    }
}

impl<K: Watched> fmt::Debug for Seen<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.meta.name.as_deref().unwrap_or_default();
        write!(f, "{} {name}", K::API_KIND)
    }
}

/// What kube's client asks for by this type. That nodes and namespaces are in no namespace matters
/// only to who asks in one.
impl<K: Watched> Resource for Seen<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::API_KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Vmi;
    use kube::api::WatchEvent;
    use kube::core::ObjectList;

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
        let list: ObjectList<Seen<Vmis>> = serde_json::from_str(&list).unwrap();
        let read: Vec<_> = list
            .items
            .into_iter()
            .map(|seen| {
                let (place, object) = seen.into_parts();
                (place.to_string(), object)
            })
            .collect();
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
    fn an_event_of_a_watch_is_read_as_it_comes() {
        let event = format!(r#"{{"type":"ADDED","object":{WEB}}}"#);
        let WatchEvent::Added(seen) =
            serde_json::from_str::<WatchEvent<Seen<Vmis>>>(&event).unwrap()
        else {
            panic!("{event}");
        };
        assert_eq!(seen.meta().resource_version.as_deref(), Some("7"));
        assert_eq!(seen.into_parts().1, Ok(Some(web())));
    }
}
