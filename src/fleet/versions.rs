//! Which releases run in a cluster.

use crate::decide::version::{Component, Version, split_image};
use crate::fleet::Fleet;
use crate::fleet::model::KubeVirt;

/// The releases that run; `None` where that cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// KubeVirt's, as its CR says.
    pub kubevirt: Option<Version>,
    /// Kube-OVN's; during an upgrade the oldest that a pod has.
    pub kube_ovn: Option<Version>,
    /// OVN-Kubernetes'; during an upgrade the oldest that a pod has.
    pub ovn_kubernetes: Option<Version>,
    /// OVN's, as its northd says, or else the oldest that this Kube-OVN can have.
    pub ovn: Option<Version>,
    /// OVN's release is the oldest that this Kube-OVN can have, and not what its northd says.
    pub is_ovn_derived: bool,
}

impl Versions {
    /// The releases that a cluster's KubeVirt CR and its pods' images name.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let kube_ovn = oldest(fleet, |name| matches!(name, "kube-ovn" | "kubeovn"));
        let derived = kube_ovn.and_then(ovn_of);
        Self {
            kubevirt: fleet.kubevirt.as_ref().and_then(kubevirt),
            kube_ovn,
            ovn_kubernetes: oldest(fleet, |name| name.starts_with("ovn-kube-")),
            ovn: fleet.ovn.or(derived),
            is_ovn_derived: fleet.ovn.is_none() && derived.is_some(),
        }
    }

    /// The release of a component.
    #[must_use]
    pub const fn component(&self, component: Component) -> Option<Version> {
        match component {
            Component::KubeVirt => self.kubevirt,
            Component::KubeOvn => self.kube_ovn,
            Component::Ovn => self.ovn,
        }
    }
}

/// An OVN release that is told from the release of Kube-OVN: it has this one or a newer one.
#[must_use]
pub fn or_newer(ovn: &str, kube_ovn: &str) -> String {
    let (branch, _) = kube_ovn.rsplit_once('.').unwrap_or((kube_ovn, ""));
    format!("{ovn} or newer (from Kube-OVN {branch})")
}

/// The release of KubeVirt that its CR names.
#[must_use]
pub fn kubevirt(cr: &KubeVirt) -> Option<Version> {
    Version::parse(cr.status.observed_kube_virt_version.as_deref()?)
}

/// The oldest version among the images whose name matches.
fn oldest(fleet: &Fleet, matches: fn(&str) -> bool) -> Option<Version> {
    let images = fleet.images.iter().map(String::as_str);
    let tagged = images.filter_map(split_image);
    let own = tagged.filter(|(name, _)| matches(name));
    own.filter_map(|(_, tag)| Version::parse(tag)).min()
}

/// The OVN in the images of a Kube-OVN release. They are built from a branch of OVN
/// (`dist/images/Dockerfile.base`, by tag): from `branch-22.12` for 1.12, `branch-24.03` for 1.13 and 1.14,
/// `branch-25.03` for 1.15 and 1.16. The patch release is the last one before the first release of Kube-OVN
/// with that branch: 1.12.0 is of August 2023, 1.13.0 of November 2024.
const fn ovn_of(kube_ovn: Version) -> Option<Version> {
    match kube_ovn {
        Version(1, 12, _) => Some(Version(22, 12, 0)),
        Version(1, 13 | 14, _) => Some(Version(24, 3, 4)),
        Version(1, 15 | 16, _) => Some(Version(25, 3, 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubevirt_is_read_from_its_cr() {
        for (text, expect) in [
            (Some("v1.9.0"), Some(Version(1, 9, 0))),
            (Some("v1.6.2-31-g0a1b2c3d"), Some(Version(1, 6, 2))),
            (Some("sha256:3b5d5c37"), None),
            (None, None),
        ] {
            let mut cr = KubeVirt::default();
            cr.status.observed_kube_virt_version = text.map(str::to_owned);
            let fleet = Fleet {
                kubevirt: Some(cr),
                ..Fleet::default()
            };
            assert_eq!(Versions::of(&fleet).kubevirt, expect, "{text:?}");
        }
        assert_eq!(Versions::of(&Fleet::default()), Versions::default());
    }

    #[test]
    fn the_network_is_read_from_the_images_of_its_agents() {
        let digest = "sha256:3b5d5c3712955042212316173ccf37be3b5d5c3712955042212316173ccf37be";
        for (images, kube_ovn, ovn_kubernetes, ovn) in [
            (
                vec!["docker.io/kubeovn/kube-ovn:v1.14.5".to_owned()],
                Some(Version(1, 14, 5)),
                None,
                Some(Version(24, 3, 4)),
            ),
            (
                vec!["kubeovn/kube-ovn:v1.12.35-x86".to_owned()],
                Some(Version(1, 12, 35)),
                None,
                Some(Version(22, 12, 0)),
            ),
            (
                vec![
                    "kubeovn/kube-ovn:v1.16.3".to_owned(),
                    "kubeovn/kube-ovn:v1.15.10".to_owned(),
                    "kubeovn/vpc-nat-gateway:v1.11.0".to_owned(),
                ],
                Some(Version(1, 15, 10)),
                None,
                Some(Version(25, 3, 0)),
            ),
            (
                vec![format!(
                    "ghcr.io/cozystack/cozystack/kubeovn:v1.15.10@{digest}"
                )],
                Some(Version(1, 15, 10)),
                None,
                Some(Version(25, 3, 0)),
            ),
            (
                vec!["kubeovn/kube-ovn:v1.17.0".to_owned()],
                Some(Version(1, 17, 0)),
                None,
                None,
            ),
            (
                vec![
                    format!("kubeovn/kube-ovn@{digest}"),
                    "kubeovn/kube-ovn:latest".to_owned(),
                    "registry/other-kube-ovn:v1.15.0".to_owned(),
                ],
                None,
                None,
                None,
            ),
            (
                vec!["ghcr.io/ovn-kubernetes/ovn-kubernetes/ovn-kube-ubuntu:v1.1.0".to_owned()],
                None,
                Some(Version(1, 1, 0)),
                None,
            ),
        ] {
            let fleet = Fleet {
                images: images.iter().cloned().collect(),
                ..Fleet::default()
            };
            let expect = Versions {
                kubevirt: None,
                kube_ovn,
                ovn_kubernetes,
                ovn,
                is_ovn_derived: ovn.is_some(),
            };
            assert_eq!(Versions::of(&fleet), expect, "{images:?}");
        }
    }

    #[test]
    fn what_northd_says_comes_before_what_kube_ovn_is_built_with() {
        let fleet = Fleet {
            images: ["kubeovn/kube-ovn:v1.15.10".to_owned()].into(),
            ovn: Some(Version(25, 3, 2)),
            ..Fleet::default()
        };
        let versions = Versions::of(&fleet);
        assert_eq!(versions.ovn, Some(Version(25, 3, 2)));
        assert!(!versions.is_ovn_derived);
        assert_eq!(
            or_newer("25.03.0", "1.15.10"),
            "25.03.0 or newer (from Kube-OVN 1.15)"
        );
    }
}
