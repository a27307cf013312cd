//! Objects of the API server to objects of the index, the same way for a watch and for a file.

use crate::cluster::object::{AgentPod, Migration, Object, ObjectKey, ObjectKind, TargetPod};
use crate::domain::{Network, Provider};
use crate::wire::objects;

/// Reads an object of any group and kind, of this namespace and name; `None` for one that berth does
/// not use.
///
/// # Errors
/// What is wrong, and in which field.
pub(crate) fn of_kind(
    group: &str,
    kind: &str,
    [namespace, name]: [&str; 2],
    network: &Network,
    text: &str,
) -> Result<Option<Object>, String> {
    let kinds: &[ObjectKind] = match (group, kind) {
        ("", "Node") => &[ObjectKind::Node],
        ("", "Pod") if namespace == &*network.agent_namespace => {
            &[ObjectKind::AgentPod, ObjectKind::TargetPod]
        }
        ("", "Pod") => &[ObjectKind::TargetPod],
        ("", "Namespace") => &[ObjectKind::Namespace],
        ("kubevirt.io", "VirtualMachineInstance") => &[ObjectKind::Vmi],
        ("kubevirt.io", "VirtualMachineInstanceMigration") => &[ObjectKind::Migration],
        ("kubevirt.io", "KubeVirt") => &[ObjectKind::KubeVirt],
        _ => return Ok(None),
    };
    let key = ObjectKey::new(namespace, name);
    let mut objects = kinds
        .iter()
        .map(|kind| object(*kind, network.provider, key.clone(), text));
    let used = objects.find(|object| !matches!(object, Ok(None)));
    used.unwrap_or(Ok(None))
}

/// Reads an object of a kind; `None` for one that berth does not use.
///
/// # Errors
/// What is wrong, and in which field.
pub(super) fn object(
    kind: ObjectKind,
    provider: Provider,
    key: ObjectKey,
    text: &str,
) -> Result<Option<Object>, String> {
    Ok(match kind {
        ObjectKind::Node => {
            let (name, facts) = objects::read::<objects::Node<'_>>(text)?.into_facts(provider);
            Some(Object::Node { name, facts })
        }
        ObjectKind::AgentPod => agent_pod(provider, key, &objects::read(text)?),
        ObjectKind::TargetPod => target_pod(key, &objects::read(text)?),
        ObjectKind::Vmi => {
            let vmi = objects::read::<objects::Vmi<'_>>(text)?;
            Some(Object::Vmi(vmi.into_facts()))
        }
        ObjectKind::Migration => {
            let migration = objects::read::<objects::Migration<'_>>(text)?;
            let migration = Migration {
                uid: migration.uid().into(),
                vmi: key.beside(migration.vmi_name()),
                phase: migration.phase(),
                created: migration.created(),
            };
            Some(Object::Migration { key, migration })
        }
        ObjectKind::Namespace => {
            let namespace = objects::read::<objects::Namespace<'_>>(text)?;
            Some(Object::Namespace {
                name: namespace.name().into(),
                opts_out: namespace.opts_out(),
            })
        }
        ObjectKind::KubeVirt => {
            let kubevirt = objects::read::<objects::KubeVirt<'_>>(text)?;
            Some(Object::KubeVirt {
                key,
                default_binding: kubevirt.default_binding(),
            })
        }
    })
}

/// `None` for a pod of something else.
fn agent_pod(provider: Provider, key: ObjectKey, pod: &objects::Pod<'_>) -> Option<Object> {
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
fn target_pod(key: ObjectKey, pod: &objects::Pod<'_>) -> Option<Object> {
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
        created: pod.created(),
        bound: pod.bound(),
    };
    Some(Object::TargetPod { key, pod })
}
