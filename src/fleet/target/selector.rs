//! The node selector of a launcher pod, in the order in which virt-controller puts it together: later
//! labels replace earlier ones (`pkg/virt-controller/services/nodeselectorrenderer.go` and
//! `template.go`).

use serde_json::Value;

use super::labels;
use super::version::{crosses_architectures, has_gate, selects_machine_type, version};
use crate::fleet::model::{KubeVirt, Labels, LaunchSecurity, VmiSpec};

/// The CPU model by which a guest has the model of its node.
pub(in crate::fleet) const HOST_MODEL: &str = "host-model";
/// The CPU model by which a guest has the CPU of its node as it is.
pub(in crate::fleet) const HOST_PASSTHROUGH: &str = "host-passthrough";

/// The label by which KubeVirt binds the pod of a VM with this machine type to nodes that can run it; `None` for a
/// KubeVirt that does not. It does so whatever berth's own check of the machine type is configured to.
pub(in crate::fleet) fn machine_type_label(
    machine_type: &str,
    kubevirt: Option<&KubeVirt>,
) -> Option<String> {
    let label = || format!("{}{machine_type}", labels::MACHINE_TYPE);
    selects_machine_type(version(kubevirt)).then(label)
}

/// The node selector of a launcher of this spec, with the CPU model that the spec has or gets, and the machine type
/// that the VM runs with or asks for.
pub(super) fn of_launcher(
    spec: &VmiSpec,
    model: &str,
    machine_type: Option<&str>,
    tsc_frequency: Option<i64>,
    kubevirt: Option<&KubeVirt>,
) -> Labels {
    let architecture = spec.architecture.as_deref().unwrap_or_default();
    let mut selector = Labels::new();
    require(&mut selector, labels::SCHEDULABLE.to_owned());
    if !architecture.is_empty() {
        selector.insert(labels::ARCH.to_owned(), architecture.to_lowercase());
    }
    if let Some(kubevirt) = kubevirt {
        let developer = &kubevirt.spec.configuration.developer_configuration;
        selector.extend(developer.node_selectors.clone());
    }
    selector.extend(spec.node_selector.clone());
    let is_cross_architecture = !architecture.is_empty()
        && has_gate(kubevirt, "CrossArchitectureVirtualization")
        && crosses_architectures(version(kubevirt));
    if is_cross_architecture {
        selector.remove(labels::ARCH);
        require(&mut selector, format!("{}{architecture}", labels::VM_ARCH));
    }

    let cpu = spec.domain.cpu.as_ref();
    if cpu.is_some_and(|cpu| cpu.dedicated_cpu_placement) {
        require(&mut selector, labels::CPU_MANAGER.to_owned());
    }
    if has_gate(kubevirt, "HypervStrictCheck") {
        require_hyperv(&mut selector, spec);
    }
    if !model.is_empty() {
        if model != HOST_MODEL && model != HOST_PASSTHROUGH {
            require(&mut selector, format!("{}{model}", labels::CPU_MODEL));
        }
        for feature in cpu.into_iter().flat_map(|cpu| &cpu.features) {
            if matches!(feature.policy.as_deref(), None | Some("" | "require")) {
                let label = format!("{}{}", labels::CPU_FEATURE, feature.name);
                require(&mut selector, label);
            }
        }
    }
    let machine_type = machine_type.and_then(|name| machine_type_label(name, kubevirt));
    if let Some(label) = machine_type {
        require(&mut selector, label);
    }
    if let Some(hertz) = tsc_frequency.filter(|hertz| *hertz > 0 && needs_tsc_frequency(spec)) {
        require(&mut selector, format!("{}{hertz}", labels::TSC_FREQUENCY));
    }
    if cpu.is_some_and(|cpu| cpu.realtime.is_some()) {
        require(&mut selector, labels::REALTIME.to_owned());
    }
    if let Some(security) = &spec.domain.launch_security {
        let is_s390x = architecture == "s390x";
        for label in of_launch_security(security, is_s390x) {
            require(&mut selector, label.to_owned());
        }
    }
    selector
}

fn require(selector: &mut Labels, label: String) {
    selector.insert(label, "true".to_owned());
}

/// The enlightenments that depend on the kernel of the node.
const ENLIGHTENMENTS: [&str; 9] = [
    "vpindex",
    "runtime",
    "reset",
    "synic",
    "synictimer",
    "frequencies",
    "reenlightenment",
    "tlbflush",
    "ipi",
];

fn require_hyperv(selector: &mut Labels, spec: &VmiSpec) {
    for name in ENLIGHTENMENTS {
        if has_enlightenment(spec, name) {
            require(selector, format!("{}{name}", labels::HYPERV));
        }
    }
    if has_enlightenment(spec, "evmcs") {
        require(selector, format!("{}Intel", labels::CPU_VENDOR));
    }
}

/// An enlightenment that is listed without `enabled` is enabled: KubeVirt sets that default.
fn has_enlightenment(spec: &VmiSpec, name: &str) -> bool {
    let features = spec.domain.features.as_ref();
    let hyperv = features.and_then(|features| features.hyperv.as_ref());
    let state = hyperv.and_then(|hyperv| hyperv.get(name));
    state.is_some_and(|state| !state.is_null() && state.get("enabled") != Some(&Value::Bool(false)))
}

/// Whether the guest needs the frequency of the time-stamp counter to stay
/// (`pkg/virt-controller/watch/topology/tsc.go`).
fn needs_tsc_frequency(spec: &VmiSpec) -> bool {
    let mut features = spec.domain.cpu.iter().flat_map(|cpu| &cpu.features);
    let has_invariant_tsc = features.any(|feature| {
        feature.name == "invtsc" && matches!(feature.policy.as_deref(), Some("require" | "force"))
    });
    has_invariant_tsc || has_enlightenment(spec, "reenlightenment")
}

fn of_launch_security(
    security: &LaunchSecurity,
    is_s390x: bool,
) -> impl Iterator<Item = &'static str> {
    let policy = security.sev.as_ref().and_then(|sev| sev.policy.as_ref());
    let has_encrypted_state = policy.and_then(|policy| policy.encrypted_state) == Some(true);
    let has_sev = security.sev.is_some() || security.snp.is_some();
    let needs = [
        (has_sev, labels::SEV),
        (has_encrypted_state, labels::SEV_ES),
        (security.snp.is_some(), labels::SEV_SNP),
        (is_s390x, labels::SECURE_EXECUTION),
        (security.tdx.is_some(), labels::TDX),
    ];
    needs
        .into_iter()
        .filter_map(|(is_needed, label)| is_needed.then_some(label))
}
