//! Objects of the API server to objects of the index, the same way for a watch and for a file.

use crate::cluster::object::{AgentPod, Migration, Object, ObjectKey, TargetPod};
use crate::domain::Provider;
use crate::wire::objects;

pub(super) fn node(provider: Provider, node: objects::Node<'_>) -> Object {
    let (name, facts) = node.into_facts(provider);
    Object::Node { name, facts }
}

/// `None` for a pod of something else.
pub(super) fn agent_pod(
    provider: Provider,
    key: ObjectKey,
    pod: &objects::Pod<'_>,
) -> Option<Object> {
    let agent = pod.agent(provider)?;
    let pod = AgentPod {
        agent,
        node: pod.node().map(Into::into),
        state: pod.agent_state(agent),
    };
    Some(Object::AgentPod { key, pod })
}

/// `None` for a pod that no migration made, for the hot-plug attachment pods of one, and for a pod
/// that has the labels of a target and is not controlled by a VMI.
pub(super) fn target_pod(key: ObjectKey, pod: &objects::Pod<'_>) -> Option<Object> {
    if !pod.is_launcher() {
        return None;
    }
    let node = pod.node().filter(|_| !pod.has_ended());
    let owner = pod.vmi()?;
    let pod = TargetPod {
        migration: pod.migration()?.into(),
        vmi: key.beside(owner.name),
        vmi_uid: owner.uid.into(),
        node: node.map(Into::into),
    };
    Some(Object::TargetPod { key, pod })
}

pub(super) fn vmi(vmi: objects::Vmi<'_>) -> Object {
    Object::Vmi(vmi.into_facts())
}

pub(super) fn migration(key: ObjectKey, migration: &objects::Migration<'_>) -> Object {
    let migration = Migration {
        uid: migration.uid().into(),
        vmi: key.beside(migration.vmi_name()),
        active: migration.is_active(),
    };
    Object::Migration { key, migration }
}

pub(super) fn namespace(namespace: &objects::Namespace<'_>) -> Object {
    Object::Namespace {
        name: namespace.name().into(),
        opts_out: namespace.opts_out(),
    }
}

pub(super) fn kubevirt(key: ObjectKey, kubevirt: &objects::KubeVirt<'_>) -> Object {
    Object::KubeVirt {
        key,
        default_binding: kubevirt.default_binding(),
    }
}
