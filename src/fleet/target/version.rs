//! The version of KubeVirt and its feature gates, on which the target pod depends.

use crate::decide::version::Version;
use crate::fleet::model::KubeVirt;
use crate::fleet::versions;

/// What an unknown version is taken for.
const NEWEST: Version = Version(1, 9, 0);

/// The version that runs.
pub(super) fn version(kubevirt: Option<&KubeVirt>) -> Version {
    kubevirt.and_then(versions::kubevirt).unwrap_or(NEWEST)
}

/// Whether the target pod is bound to the CPU vendor of the source node
/// (`pkg/virt-controller/watch/migration/migration.go`, `getCPUVendorLabelKey`, by tag).
pub(super) fn keeps_cpu_vendor(version: Version) -> bool {
    match version {
        Version(1, 6, patch) => patch >= 4,
        Version(1, 7, patch) => patch >= 1,
        later => later >= Version(1, 8, 0),
    }
}

/// Whether the target pod is bound to nodes with the label of the VM's machine type
/// (`pkg/virt-controller/services/template.go`, `WithMachineType`, by tag).
pub(super) fn selects_machine_type(version: Version) -> bool {
    version >= Version(1, 5, 1)
}

/// Whether the threads of a supplemental pool for I/O are counted as CPUs of the launcher
/// (`pkg/virt-controller/services/renderresources.go`, `getIOThreadsCount`, by tag).
pub(super) fn counts_io_threads(version: Version) -> bool {
    version >= Version(1, 5, 2)
}

/// Whether KubeVirt writes into a VMI what its launcher requests for its memory
/// (`pkg/defaults/defaults.go`, `setDefaultResourceRequests`, by tag). Later releases leave it to the pod.
pub(super) fn writes_memory_requests(version: Version) -> bool {
    version < Version(1, 6, 4)
}

/// Whether the memory is overcommitted that the VMI itself requests, and not only what KubeVirt makes of the
/// memory of the guest (`WithMemoryOvercommit`, by tag).
pub(super) fn overcommits_requests(version: Version) -> bool {
    version == Version(1, 6, 2)
}

/// Whether a container logs the serial console (`serialconsolelog.go`, by tag).
pub(super) fn logs_consoles(version: Version) -> bool {
    version >= Version(1, 1, 0)
}

/// Whether the images of container disks are volumes of the launcher: by the feature gate `ImageVolume`, which is on
/// from 1.9 on.
pub(super) fn has_image_volumes(kubevirt: Option<&KubeVirt>) -> bool {
    let version = version(kubevirt);
    let gate = "ImageVolume";
    let is_on = has_gate(kubevirt, gate) && version >= Version(1, 6, 0);
    let developer = kubevirt.map(|kubevirt| &kubevirt.spec.configuration.developer_configuration);
    let mut off = developer
        .iter()
        .flat_map(|developer| &developer.disabled_feature_gates);
    is_on || version >= Version(1, 9, 0) && !off.any(|off| off == gate)
}

/// Whether the KubeVirt CR names a feature gate.
pub(super) fn has_gate(kubevirt: Option<&KubeVirt>, gate: &str) -> bool {
    kubevirt.is_some_and(|kubevirt| {
        let developer = &kubevirt.spec.configuration.developer_configuration;
        let mut gates = developer.feature_gates.iter();
        gates.any(|enabled| enabled == gate)
    })
}

/// Whether the feature gate `CrossArchitectureVirtualization` exists.
pub(super) fn crosses_architectures(version: Version) -> bool {
    version >= Version(1, 9, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_taken_for_the_newest() {
        for (text, expect) in [
            (Some("v1.6.4"), Version(1, 6, 4)),
            (Some("devel"), NEWEST),
            (None, NEWEST),
        ] {
            let mut kubevirt = KubeVirt::default();
            kubevirt.status.observed_kube_virt_version = text.map(str::to_owned);
            assert_eq!(version(Some(&kubevirt)), expect, "{text:?}");
        }
        assert_eq!(version(None), NEWEST);
    }

    #[test]
    fn the_cpu_vendor_is_kept_from_1_6_4_and_1_7_1_and_1_8_0_on() {
        for (version, keeps) in [
            (Version(0, 59, 9), false),
            (Version(1, 5, 9), false),
            (Version(1, 6, 3), false),
            (Version(1, 6, 4), true),
            (Version(1, 6, 9), true),
            (Version(1, 7, 0), false),
            (Version(1, 7, 1), true),
            (Version(1, 8, 0), true),
            (Version(1, 9, 0), true),
            (Version(2, 0, 0), true),
        ] {
            assert_eq!(keeps_cpu_vendor(version), keeps, "{version:?}");
        }
    }
}
