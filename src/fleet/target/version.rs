//! The version of KubeVirt, on which the target pod depends.

use crate::fleet::model::KubeVirt;

/// A release of KubeVirt: major, minor, patch.
pub(super) type Version = (u32, u32, u32);

/// What an unknown version is taken for.
const NEWEST: Version = (1, 9, 0);

/// The version that runs. A pre-release counts as its release.
pub(super) fn version(kubevirt: Option<&KubeVirt>) -> Version {
    let text = kubevirt.and_then(|kubevirt| kubevirt.status.observed_kube_virt_version.as_deref());
    text.and_then(parsed).unwrap_or(NEWEST)
}

fn parsed(text: &str) -> Option<Version> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next()?;
    let digits = patch.find(|c: char| !c.is_ascii_digit());
    let patch = patch.get(..digits.unwrap_or(patch.len()))?.parse().ok()?;
    Some((major, minor, patch))
}

/// Whether the target pod is bound to the CPU vendor of the source node
/// (`pkg/virt-controller/watch/migration/migration.go`, `getCPUVendorLabelKey`, by tag).
pub(super) fn keeps_cpu_vendor(version: Version) -> bool {
    match version {
        (1, 6, patch) => patch >= 4,
        (1, 7, patch) => patch >= 1,
        later => later >= (1, 8, 0),
    }
}

/// Whether the feature gate `CrossArchitectureVirtualization` exists.
pub(super) fn crosses_architectures(version: Version) -> bool {
    version >= (1, 9, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_kubevirt_cr_and_an_unknown_one_is_the_newest() {
        for (text, expect) in [
            (Some("v1.6.4"), (1, 6, 4)),
            (Some("1.7.0"), (1, 7, 0)),
            (Some("v1.8.0-rc.1"), (1, 8, 0)),
            (Some("v1.5.3-69-gfcb0c5d9a"), (1, 5, 3)),
            (Some("v1.10.12+vendor"), (1, 10, 12)),
            (Some("v0.59.2"), (0, 59, 2)),
            (Some("devel"), NEWEST),
            (Some("v1.6"), NEWEST),
            (Some("v1.6.x"), NEWEST),
            (Some(""), NEWEST),
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
            ((0, 59, 9), false),
            ((1, 5, 9), false),
            ((1, 6, 3), false),
            ((1, 6, 4), true),
            ((1, 6, 9), true),
            ((1, 7, 0), false),
            ((1, 7, 1), true),
            ((1, 8, 0), true),
            ((1, 9, 0), true),
            ((2, 0, 0), true),
        ] {
            assert_eq!(keeps_cpu_vendor(version), keeps, "{version:?}");
        }
    }
}
