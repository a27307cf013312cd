//! The four KubeVirt kinds that carry a VMI template, read as far as the injection needs.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::decide::inject::Subject;
use crate::domain::Binding;
use crate::wire::gather::AtMost;
use crate::wire::patch::Anchor;
use crate::wire::{Map, Text, read_or_explain};

/// A kind that berth injects into.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    VariantArray,
    IntoStaticStr,
    EnumString,
)]
pub enum Kind {
    /// `kubevirt.io` `VirtualMachine`.
    VirtualMachine,
    /// `kubevirt.io` `VirtualMachineInstance`.
    VirtualMachineInstance,
    /// `kubevirt.io` `VirtualMachineInstanceReplicaSet`.
    VirtualMachineInstanceReplicaSet,
    /// `pool.kubevirt.io` `VirtualMachinePool`.
    VirtualMachinePool,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The kind of this group and name, in whatever version.
    #[must_use]
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        let kind: Self = kind.parse().ok()?;
        (kind.group() == group).then_some(kind)
    }

    /// Its API group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::VirtualMachine
            | Self::VirtualMachineInstance
            | Self::VirtualMachineInstanceReplicaSet => "kubevirt.io",
            Self::VirtualMachinePool => "pool.kubevirt.io",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The way from the object's root to the VMI template, or to the VMI itself.
    #[must_use]
    pub const fn template(self) -> &'static [&'static str] {
        match self {
            Self::VirtualMachineInstance => &[],
            Self::VirtualMachine | Self::VirtualMachineInstanceReplicaSet => &["spec", "template"],
            Self::VirtualMachinePool => &["spec", "virtualMachineTemplate", "spec", "template"],
        }
    }
}

/// The kind of a migration, in the group of the VMI.
pub const MIGRATION: &str = "VirtualMachineInstanceMigration";

/// Whether this group and name, in whatever version, are those of a migration.
#[must_use]
pub fn is_migration(group: &str, kind: &str) -> bool {
    group == Kind::VirtualMachineInstance.group() && kind == MIGRATION
}

/// Reads an object of a known kind.
///
/// # Errors
/// What is wrong and in which field, when a field that berth uses is missing or of a wrong type.
pub fn read(kind: Kind, object: &str) -> Result<(Subject<'_>, Anchor), String> {
    match kind {
        // A replica set has the same fields, but for the instancetype and the preference.
        Kind::VirtualMachine | Kind::VirtualMachineInstanceReplicaSet => {
            let VirtualMachine { metadata, spec } = read_or_explain(object)?;
            Ok(spec.subject(&[&metadata]))
        }
        Kind::VirtualMachineInstance => {
            let vmi: Template<'_> = read_or_explain(object)?;
            Ok(vmi.subject(&[], false))
        }
        Kind::VirtualMachinePool => {
            let Pool { metadata, spec } = read_or_explain(object)?;
            let VirtualMachineTemplate {
                metadata: outer,
                spec,
            } = spec.virtual_machine_template;
            let outer = outer.unwrap_or_default();
            Ok(spec.subject(&[&metadata, &outer]))
        }
    }
}

#[derive(Deserialize)]
struct VirtualMachine<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    spec: VirtualMachineSpec<'a>,
}

#[derive(Deserialize)]
struct VirtualMachineSpec<'a> {
    #[serde(borrow)]
    template: Template<'a>,
    instancetype: Option<IgnoredAny>,
    preference: Option<IgnoredAny>,
}

impl<'a> VirtualMachineSpec<'a> {
    fn subject(&self, outer: &[&Metadata<'a>]) -> (Subject<'a>, Anchor) {
        let by_reference = self.instancetype.is_some() || self.preference.is_some();
        self.template.subject(outer, by_reference)
    }
}

#[derive(Deserialize)]
struct Pool<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    spec: PoolSpec<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PoolSpec<'a> {
    #[serde(borrow)]
    virtual_machine_template: VirtualMachineTemplate<'a>,
}

#[derive(Deserialize)]
struct VirtualMachineTemplate<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    spec: VirtualMachineSpec<'a>,
}

/// A VMI, or the template of one.
#[derive(Deserialize)]
struct Template<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    spec: VmiSpec<'a>,
}

impl<'a> Template<'a> {
    /// `outer` holds the metadata of the objects around the template, the object itself first;
    /// for a VMI it is empty, because there the template is the object.
    fn subject(&self, outer: &[&Metadata<'a>], by_reference: bool) -> (Subject<'a>, Anchor) {
        let inner = self.metadata.as_ref();
        let annotations = inner.and_then(|metadata| metadata.annotations.as_ref());
        let anchor = match (inner, annotations) {
            (None, _) => Anchor::Template,
            (Some(_), None) => Anchor::Metadata,
            (Some(_), Some(_)) => Anchor::Annotations,
        };
        let object = outer.first().copied().or(inner);
        let subject = Subject {
            binding: self.spec.binding(by_reference),
            annotation: annotations
                .and_then(|Map(marks)| marks.allow.as_ref())
                .map(|value| value.0.clone()),
            misplaced: outer.iter().any(|metadata| metadata.allows()),
            switches: inner.into_iter().flat_map(Metadata::switches).collect(),
            outer_switches: outer.iter().flat_map(|outer| outer.switches()).collect(),
            deleting: object.is_some_and(|metadata| metadata.deletion_timestamp.is_some()),
        };
        (subject, anchor)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    labels: Option<Map<Marks<'a>>>,
    annotations: Option<Map<Marks<'a>>>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl<'a> Metadata<'a> {
    fn allows(&self) -> bool {
        self.annotations
            .as_ref()
            .is_some_and(|Map(marks)| marks.allow.is_some())
    }

    fn switches(&self) -> impl Iterator<Item = Cow<'a, str>> {
        [&self.labels, &self.annotations]
            .into_iter()
            .filter_map(|marks| marks.as_ref()?.0.inject.as_ref())
            .map(|value| value.0.clone())
    }
}

/// The labels or annotations that mean something to the injection.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Marks<'a> {
    #[serde(borrow, rename = "kubevirt.io/allow-pod-bridge-network-live-migration")]
    allow: Option<Text<'a>>,
    #[serde(rename = "berth.dev/inject")]
    pub(super) inject: Option<Text<'a>>,
}

/// The networks and the interfaces of one VMI. QEMU has room for some dozens.
const MOST_INTERFACES: usize = 1000;

#[derive(Deserialize)]
struct VmiSpec<'a> {
    domain: Option<Domain<'a>>,
    #[serde(borrow)]
    networks: Option<AtMost<MOST_INTERFACES, Network<'a>>>,
}

#[derive(Deserialize)]
struct Domain<'a> {
    #[serde(borrow)]
    devices: Option<Devices<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Devices<'a> {
    autoattach_pod_interface: Option<bool>,
    #[serde(borrow)]
    interfaces: Option<AtMost<MOST_INTERFACES, Interface<'a>>>,
}

#[derive(Deserialize)]
struct Network<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    pod: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Interface<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    bridge: Option<IgnoredAny>,
    masquerade: Option<IgnoredAny>,
    passt_binding: Option<IgnoredAny>,
}

impl VmiSpec<'_> {
    /// The binding as KubeVirt sees it: its default (`pkg/network/vmispec/defaults.go`) where
    /// nothing is given, else that of the pod network's interface (`VerifyVMIMigratable` in
    /// `interface.go`, with the same precedence).
    fn binding(&self, by_reference: bool) -> Binding {
        let networks = self.networks.as_ref().map(|AtMost(networks)| networks);
        let networks = networks.map(Vec::as_slice).unwrap_or_default();
        let devices = self.domain.as_ref().and_then(|d| d.devices.as_ref());
        let interfaces = devices
            .and_then(|devices| devices.interfaces.as_ref())
            .map(|AtMost(interfaces)| interfaces.as_slice())
            .unwrap_or_default();

        if networks.is_empty() && interfaces.is_empty() {
            let autoattach = devices.and_then(|devices| devices.autoattach_pod_interface);
            return match (autoattach, by_reference) {
                (Some(false), _) => Binding::NoPodNetwork,
                (_, true) => Binding::LeftToVmi,
                (_, false) => Binding::Default,
            };
        }
        let Some(pod_network) = networks.iter().find(|network| network.pod.is_some()) else {
            return Binding::NoPodNetwork;
        };
        let bridge = interfaces
            .iter()
            .find(|interface| interface.name == pod_network.name)
            .is_some_and(|interface| {
                interface.bridge.is_some()
                    && interface.masquerade.is_none()
                    && interface.passt_binding.is_none()
            });
        if bridge {
            Binding::Bridge
        } else {
            Binding::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check_binding(kind: Kind, object: &Value, expect: Binding) {
        let object = object.to_string();
        let (subject, _) = read(kind, &object).unwrap();
        assert_eq!(subject.binding, expect, "{object}");
    }

    fn mk_vmi(networks: &Value, devices: &Value) -> Value {
        json!({
            "metadata": {"name": "web"},
            "spec": {"domain": {"devices": devices}, "networks": networks},
        })
    }

    #[test]
    fn the_interface_of_the_pod_network_decides() {
        let pod = json!({"name": "default", "pod": {}});
        let nad = json!({"name": "tenant", "multus": {"networkName": "tenant-a"}});
        let default_nad =
            json!({"name": "default", "multus": {"networkName": "n", "default": true}});
        let iface = |name: &str, binding: &str| json!({"name": name, binding: {}});
        for (networks, interfaces, expect) in [
            (
                json!([pod]),
                json!([iface("default", "bridge")]),
                Binding::Bridge,
            ),
            (
                json!([pod]),
                json!([iface("default", "masquerade")]),
                Binding::Other,
            ),
            (
                json!([pod]),
                json!([iface("default", "passtBinding")]),
                Binding::Other,
            ),
            (
                json!([pod]),
                json!([iface("default", "passt")]),
                Binding::Other,
            ),
            (
                json!([pod]),
                json!([iface("default", "sriov")]),
                Binding::Other,
            ),
            (
                json!([pod]),
                json!([{"name": "default", "binding": {"name": "l2bridge"}}]),
                Binding::Other,
            ),
            (json!([pod]), json!([{"name": "default"}]), Binding::Other),
            (
                json!([pod]),
                json!([{"name": "default", "bridge": null, "masquerade": {}}]),
                Binding::Other,
            ),
            // KubeVirt looks at masquerade before bridge.
            (
                json!([pod]),
                json!([{"name": "default", "bridge": {}, "masquerade": {}}]),
                Binding::Other,
            ),
            (
                json!([nad]),
                json!([iface("tenant", "bridge")]),
                Binding::NoPodNetwork,
            ),
            (
                json!([default_nad]),
                json!([iface("default", "bridge")]),
                Binding::NoPodNetwork,
            ),
            (
                json!([nad, pod]),
                json!([iface("tenant", "bridge"), iface("default", "masquerade")]),
                Binding::Other,
            ),
            (
                json!([nad, pod]),
                json!([iface("tenant", "sriov"), iface("default", "bridge")]),
                Binding::Bridge,
            ),
            (
                json!([pod]),
                json!([iface("other", "bridge")]),
                Binding::Other,
            ),
            (json!([pod]), json!([]), Binding::Other),
            (
                json!([]),
                json!([iface("default", "bridge")]),
                Binding::NoPodNetwork,
            ),
            (
                json!([{"name": "default", "pod": null}]),
                json!([iface("default", "bridge")]),
                Binding::NoPodNetwork,
            ),
        ] {
            let vmi = mk_vmi(&networks, &json!({"interfaces": interfaces}));
            check_binding(Kind::VirtualMachineInstance, &vmi, expect);
        }
    }

    #[test]
    fn nothing_given_is_kubevirts_default_unless_the_vm_has_none_or_a_preference_may_tell() {
        let nothing = [
            mk_vmi(&json!([]), &json!({"interfaces": []})),
            mk_vmi(&json!(null), &json!({"interfaces": null})),
            mk_vmi(&json!(null), &json!(null)),
            json!({"metadata": {}, "spec": {"domain": {}}}),
            json!({"metadata": {}, "spec": {}}),
        ];
        for vmi in nothing {
            check_binding(Kind::VirtualMachineInstance, &vmi, Binding::Default);
            for (reference, expect) in [
                (json!({}), Binding::Default),
                (
                    json!({"preference": {"name": "fedora"}}),
                    Binding::LeftToVmi,
                ),
                (
                    json!({"instancetype": {"name": "u1.small"}}),
                    Binding::LeftToVmi,
                ),
                (json!({"instancetype": null}), Binding::Default),
            ] {
                let mut spec = reference;
                spec["template"] = vmi.clone();
                let vm = json!({"metadata": {}, "spec": spec});
                check_binding(Kind::VirtualMachine, &vm, expect);
                let pool =
                    json!({"metadata": {}, "spec": {"virtualMachineTemplate": {"spec": spec}}});
                check_binding(Kind::VirtualMachinePool, &pool, expect);
            }
        }
        for (autoattach, expect) in [
            (json!(false), Binding::NoPodNetwork),
            (json!(true), Binding::Default),
            (json!(null), Binding::Default),
        ] {
            let vmi = mk_vmi(&json!([]), &json!({"autoattachPodInterface": autoattach}));
            check_binding(Kind::VirtualMachineInstance, &vmi, expect);
        }
    }

    #[test]
    fn the_annotation_counts_only_where_kubevirt_looks() {
        use Kind::{
            VirtualMachine, VirtualMachineInstance, VirtualMachineInstanceReplicaSet,
            VirtualMachinePool,
        };
        let marked =
            json!({"annotations": {"kubevirt.io/allow-pod-bridge-network-live-migration": "yes"}});
        let template = |metadata: &Value| json!({"metadata": metadata, "spec": {"domain": {}}});
        let vm = |outer: &Value, inner: &Value| json!({"metadata": outer, "spec": {"template": template(inner)}});
        let pool = |object: &Value, outer: &Value, inner: &Value| json!({"metadata": object, "spec": {"virtualMachineTemplate": vm(outer, inner)}});
        let none = json!({});
        for (kind, object, annotation, misplaced) in [
            (VirtualMachine, vm(&none, &marked), Some("yes"), false),
            (VirtualMachine, vm(&marked, &none), None, true),
            (VirtualMachine, vm(&marked, &marked), Some("yes"), true),
            (
                VirtualMachineInstanceReplicaSet,
                vm(&marked, &none),
                None,
                true,
            ),
            (VirtualMachinePool, pool(&marked, &none, &none), None, true),
            (VirtualMachinePool, pool(&none, &marked, &none), None, true),
            (
                VirtualMachinePool,
                pool(&none, &none, &marked),
                Some("yes"),
                false,
            ),
            (
                VirtualMachineInstance,
                template(&marked),
                Some("yes"),
                false,
            ),
        ] {
            let object = object.to_string();
            let (subject, _) = read(kind, &object).unwrap();
            assert_eq!(
                (subject.annotation.as_deref(), subject.misplaced),
                (annotation, misplaced),
                "{object}"
            );
        }
    }

    #[test]
    fn the_switch_is_found_as_label_and_annotation_of_the_object_and_its_templates() {
        let with = |kind: &str| json!({kind: {"berth.dev/inject": "disabled"}});
        for switch in [with("labels"), with("annotations")] {
            let template = |metadata: &Value| json!({"metadata": metadata, "spec": {}});
            let none = json!({});
            for object in [
                json!({"metadata": switch, "spec": {"virtualMachineTemplate": {"spec": {"template": template(&none)}}}}),
                json!({"metadata": {}, "spec": {"virtualMachineTemplate": {"metadata": switch, "spec": {"template": template(&none)}}}}),
                json!({"metadata": {}, "spec": {"virtualMachineTemplate": {"spec": {"template": template(&switch)}}}}),
            ] {
                let object = object.to_string();
                let (subject, _) = read(Kind::VirtualMachinePool, &object).unwrap();
                let found = [subject.switches, subject.outer_switches].concat();
                assert_eq!(found, ["disabled"], "{object}");
            }
        }
    }

    #[test]
    fn the_anchor_is_the_last_part_of_the_way_that_is_there() {
        for (template, anchor) in [
            (json!({"spec": {}}), Anchor::Template),
            (json!({"metadata": null, "spec": {}}), Anchor::Template),
            (json!({"metadata": {}, "spec": {}}), Anchor::Metadata),
            (
                json!({"metadata": {"annotations": null}, "spec": {}}),
                Anchor::Metadata,
            ),
            (
                json!({"metadata": {"annotations": {}}, "spec": {}}),
                Anchor::Annotations,
            ),
        ] {
            let vm = json!({"metadata": {}, "spec": {"template": template}}).to_string();
            assert_eq!(read(Kind::VirtualMachine, &vm).unwrap().1, anchor, "{vm}");
        }
    }

    #[test]
    fn only_the_objects_own_deletion_counts() {
        let gone = json!({"deletionTimestamp": "2026-11-21T02:24:24Z"});
        let vm = json!({"metadata": gone, "spec": {"template": {"spec": {}}}}).to_string();
        assert!(read(Kind::VirtualMachine, &vm).unwrap().0.deleting);
        let vm = json!({"metadata": {}, "spec": {"template": {"metadata": gone, "spec": {}}}})
            .to_string();
        assert!(!read(Kind::VirtualMachine, &vm).unwrap().0.deleting);
        let vmi = json!({"metadata": gone, "spec": {}}).to_string();
        assert!(read(Kind::VirtualMachineInstance, &vmi).unwrap().0.deleting);
    }

    #[test]
    fn what_cannot_be_read_says_what_and_where() {
        for (kind, object, expect) in [
            (
                Kind::VirtualMachine,
                "null",
                "invalid type: null, expected struct VirtualMachine at line 1 column 4",
            ),
            (
                Kind::VirtualMachine,
                "[]",
                "expected an object, not an array",
            ),
            (
                Kind::VirtualMachine,
                r#"{"metadata":{},"spec":{}}"#,
                "missing field `template` in spec",
            ),
            (
                Kind::VirtualMachine,
                r#"{"metadata":{},"spec":{"template":{}}}"#,
                "missing field `spec` in spec.template",
            ),
            (
                Kind::VirtualMachineInstance,
                r#"{"metadata":{},"spec":{"networks":{}}}"#,
                "invalid type: map, expected a sequence in spec.networks",
            ),
            (
                Kind::VirtualMachineInstance,
                r#"{"metadata":{},"spec":{},"spec":{}}"#,
                "duplicate field `spec`",
            ),
            (
                Kind::VirtualMachineInstance,
                r#"{"metadata":{"annotations":["a"]},"spec":{}}"#,
                "invalid type: sequence, expected a map in metadata.annotations",
            ),
            (
                Kind::VirtualMachineInstance,
                r#"{"metadata":{"annotations":{"kubevirt.io/allow-pod-bridge-network-live-migration":true}},"spec":{}}"#,
                "invalid type: boolean `true`, expected a string in metadata.annotations.kubevirt.io/allow-pod-bridge-network-live-migration",
            ),
        ] {
            let error = read(kind, object).unwrap_err();
            assert_eq!(error, expect, "{object}");
        }
    }
}
