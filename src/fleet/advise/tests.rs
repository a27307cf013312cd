//! Clusters and VMs, and the known bugs that concern them.

use super::*;
use crate::fleet::model::{
    ClaimSource, Labels, Multus, VmiSpec, VmiStatus, VmiVolume, VolumeStatus,
};

/// KubeVirt, Kube-OVN and OVN.
type Releases = (Option<Version>, Option<Version>, Option<Version>);

const fn versions((kubevirt, kube_ovn, ovn): Releases) -> Versions {
    Versions {
        kubevirt,
        kube_ovn,
        ovn_kubernetes: None,
        ovn,
        is_ovn_derived: false,
    }
}

fn codes(findings: &[Finding<'_>]) -> Vec<&'static str> {
    findings.iter().map(|found| found.code.id()).collect()
}

fn of_spec(
    releases: Releases,
    spec: &VmiSpec,
    status: Option<&VmiStatus>,
) -> Vec<Finding<'static>> {
    let subject = Subject {
        namespace: "shop",
        annotations: &Labels::new(),
        spec,
        status,
        is_partial: false,
    };
    of_vm(&versions(releases), subject)
}

#[test]
fn a_cluster_has_the_bugs_of_the_releases_that_are_known() {
    for (releases, expect) in [
        ((None, None, None), vec![]),
        (
            (Some(Version(1, 5, 0)), None, None),
            vec!["BRT0501", "BRT0502", "BRT0505"],
        ),
        ((Some(Version(1, 9, 0)), None, None), vec!["BRT0505"]),
        (
            (None, Some(Version(1, 12, 0)), Some(Version(22, 12, 0))),
            vec!["BRT0506", "BRT0516", "BRT0518"],
        ),
        (
            (None, Some(Version(1, 14, 5)), Some(Version(24, 3, 4))),
            vec![
                "BRT0507", "BRT0508", "BRT0512", "BRT0513", "BRT0516", "BRT0518",
            ],
        ),
        (
            (None, Some(Version(1, 15, 2)), None),
            vec![
                "BRT0509", "BRT0510", "BRT0512", "BRT0513", "BRT0515", "BRT0516",
            ],
        ),
        (
            (
                Some(Version(1, 9, 0)),
                Some(Version(1, 16, 3)),
                Some(Version(25, 3, 0)),
            ),
            vec!["BRT0505", "BRT0513", "BRT0515", "BRT0516", "BRT0518"],
        ),
        (
            (None, None, Some(Version(24, 3, 2))),
            vec!["BRT0518", "BRT0519"],
        ),
    ] {
        let found = of_cluster(&versions(releases));
        assert_eq!(codes(&found), expect, "{releases:?}");
    }
}

#[test]
fn a_finding_names_the_release() {
    let found = of_cluster(&versions((None, None, Some(Version(24, 3, 2)))));
    let text =
        "ovn-controller can stall for a minute when a VM arrives on a large switch: OVN 24.03.2";
    assert_eq!(found[1].message, text);
    assert!(found[1].nodes.is_empty());
    let derived = Versions {
        is_ovn_derived: true,
        ..versions((None, Some(Version(1, 15, 14)), Some(Version(25, 3, 0))))
    };
    let last = of_cluster(&derived).pop().unwrap();
    let text = "OVN reports a port as ready before the flows of its network are there: OVN 25.03.0 or newer (from Kube-OVN 1.15)";
    assert_eq!(last.message, text);
}

#[test]
fn a_vm_that_an_older_launcher_started_may_not_migrate_after_an_upgrade() {
    let digest = "sha256:3b5d5c3712955042212316173ccf37be3b5d5c3712955042212316173ccf37be";
    let image = |tag: &str| format!("quay.io/kubevirt/virt-launcher{tag}");
    for (kubevirt, launcher, expect) in [
        (Version(1, 6, 6), Some(image(":v1.6.2")), vec![]),
        (Version(1, 7, 0), Some(image(":v1.6.6")), vec!["BRT0503"]),
        (Version(1, 7, 4), Some(image(":v1.7.0")), vec![]),
        (
            Version(1, 8, 4),
            Some(image(":v1.6.6")),
            vec!["BRT0503", "BRT0504"],
        ),
        (Version(1, 8, 4), Some(image(":v1.7.4")), vec!["BRT0504"]),
        (Version(1, 9, 0), Some(image(":v1.7.4")), vec!["BRT0504"]),
        (Version(1, 9, 0), Some(image(":v1.8.0")), vec![]),
        (
            Version(1, 9, 0),
            Some(image(&format!(":v1.6.2@{digest}"))),
            vec!["BRT0503", "BRT0504"],
        ),
        (Version(1, 9, 0), Some(image(&format!("@{digest}"))), vec![]),
        (Version(1, 9, 0), None, vec![]),
    ] {
        let status = VmiStatus {
            launcher_container_image_version: launcher.clone(),
            ..VmiStatus::default()
        };
        let releases = (Some(kubevirt), None, None);
        let found = of_spec(releases, &VmiSpec::default(), Some(&status));
        assert_eq!(codes(&found), expect, "{kubevirt} {launcher:?}");
        let stopped = of_spec(releases, &VmiSpec::default(), None);
        assert!(stopped.is_empty(), "{kubevirt}");
    }
    let status = VmiStatus {
        launcher_container_image_version: Some(image(":v1.6.2")),
        ..VmiStatus::default()
    };
    let releases = (Some(Version(1, 7, 1)), None, None);
    let found = of_spec(releases, &VmiSpec::default(), Some(&status));
    assert_eq!(
        found[0].message,
        "a VM that was started before the upgrade to KubeVirt 1.7 may not migrate: KubeVirt 1.7.1, and its launcher is 1.6.2"
    );
}

#[test]
fn a_vm_has_the_bugs_of_its_networks() {
    let network = |default: bool| Network {
        multus: Some(Multus {
            network_name: "shop/blue".to_owned(),
            default,
        }),
        ..Network::default()
    };
    let pod = Network {
        pod: Some(serde::de::IgnoredAny),
        ..Network::default()
    };
    for (kube_ovn, networks, expect) in [
        (Version(1, 15, 8), vec![], vec![]),
        (Version(1, 15, 8), vec![pod.clone()], vec![]),
        (
            Version(1, 15, 8),
            vec![pod.clone(), network(false)],
            vec!["BRT0511"],
        ),
        (Version(1, 15, 8), vec![network(true)], vec!["BRT0511"]),
        (Version(1, 15, 9), vec![network(true)], vec![]),
        (Version(1, 13, 5), vec![network(true)], vec!["BRT0517"]),
        (Version(1, 13, 5), vec![pod.clone(), network(false)], vec![]),
        (Version(1, 13, 6), vec![network(true)], vec![]),
    ] {
        let spec = VmiSpec {
            networks: networks.clone(),
            ..VmiSpec::default()
        };
        let found = of_spec((None, Some(kube_ovn), None), &spec, None);
        assert_eq!(codes(&found), expect, "{kube_ovn} {networks:?}");
    }
}

#[test]
fn a_vm_with_hot_plugged_volumes_has_their_bug() {
    let volume = |hotpluggable| VmiVolume {
        persistent_volume_claim: Some(ClaimSource {
            hotpluggable,
            ..ClaimSource::default()
        }),
        ..VmiVolume::default()
    };
    let status = |is_hotplug: bool| VmiStatus {
        volume_status: vec![VolumeStatus {
            hotplug_volume: is_hotplug.then_some(serde::de::IgnoredAny),
            ..VolumeStatus::default()
        }],
        ..VmiStatus::default()
    };
    for (kube_ovn, hotpluggable, running, expect) in [
        (Version(1, 16, 3), true, None, vec!["BRT0514"]),
        (Version(1, 16, 3), false, Some(true), vec!["BRT0514"]),
        (Version(1, 16, 3), false, Some(false), vec![]),
        (Version(1, 16, 3), false, None, vec![]),
        (Version(1, 14, 20), true, Some(true), vec![]),
    ] {
        let spec = VmiSpec {
            volumes: vec![volume(hotpluggable)],
            ..VmiSpec::default()
        };
        let status = running.map(status);
        let found = of_spec((None, Some(kube_ovn), None), &spec, status.as_ref());
        assert_eq!(
            codes(&found),
            expect,
            "{kube_ovn} {hotpluggable} {running:?}"
        );
    }
}
