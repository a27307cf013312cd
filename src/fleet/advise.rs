//! The known bugs of the releases that run: those of the cluster, and those of one VM.

use crate::decide::advisories::{Advisory, Condition};
use crate::decide::codes::Code;
use crate::decide::version::{Component, Version};
use crate::fleet::finding::{Finding, message};
use crate::fleet::migratable::Subject;
use crate::fleet::model::Network;
use crate::fleet::versions::{Versions, or_newer};

/// Every bug that the releases have, in the order of the codes.
#[must_use]
pub fn of_releases(versions: &Versions) -> Vec<Finding<'static>> {
    let present = present(versions);
    present
        .map(|(advisory, version)| finding(advisory, &release(versions, advisory, version)))
        .collect()
}

/// The bugs that concern the cluster as a whole, in the order of their codes.
#[must_use]
pub fn of_cluster(versions: &Versions) -> Vec<Finding<'static>> {
    present(versions)
        .filter(|(advisory, _)| advisory.row().condition == Condition::Always)
        .map(|(advisory, version)| finding(advisory, &release(versions, advisory, version)))
        .collect()
}

/// The bugs that concern this VM and not every one, in the order of their codes.
#[must_use]
pub fn of_vm(versions: &Versions, subject: Subject<'_>) -> Vec<Finding<'static>> {
    present(versions)
        .filter_map(|(advisory, version)| {
            let release = release(versions, advisory, version);
            let detail = match advisory.row().condition {
                Condition::Always => return None,
                Condition::StartedBefore(first) => {
                    let launcher = launcher(subject).filter(|launcher| *launcher < first)?;
                    format!("{release}, and its launcher is {launcher}")
                }
                Condition::HotplugVolumes => has_hotplug_volumes(subject).then_some(release)?,
                Condition::MultusNetwork => has_network(subject, on_multus).then_some(release)?,
                Condition::DefaultMultusNetwork => {
                    has_network(subject, is_default_multus).then_some(release)?
                }
            };
            Some(finding(advisory, &detail))
        })
        .collect()
}

/// The bugs that the releases have, each with the release of its component.
fn present(versions: &Versions) -> impl Iterator<Item = (Advisory, Version)> {
    Advisory::ALL.into_iter().filter_map(|advisory| {
        let row = advisory.row();
        let version = versions.component(row.component)?;
        row.affects(version).then_some((advisory, version))
    })
}

fn finding(advisory: Advisory, detail: &str) -> Finding<'static> {
    Finding {
        code: Code::Advisory(advisory),
        message: message(advisory.row().text, detail),
        nodes: Vec::new(),
    }
}

/// `Kube-OVN 1.14.5`
fn release(versions: &Versions, advisory: Advisory, version: Version) -> String {
    let component = advisory.row().component;
    let version = version.to_string();
    let version = match versions.kube_ovn {
        Some(kube_ovn) if component == Component::Ovn && versions.is_ovn_derived => {
            or_newer(&version, &kube_ovn.to_string())
        }
        _ => version,
    };
    format!("{} {version}", component.name())
}

/// The release of KubeVirt that a VM's launcher is of.
fn launcher(subject: Subject<'_>) -> Option<Version> {
    let image = &subject.status?.launcher_container_image_version;
    Version::of_image(image.as_deref()?)
}

fn has_hotplug_volumes(subject: Subject<'_>) -> bool {
    let mut claims = subject.spec.volumes.iter();
    let is_asked_for = claims.any(|volume| {
        let claim = volume.persistent_volume_claim.as_ref();
        claim.is_some_and(|claim| claim.hotpluggable)
    });
    let mut volumes = subject
        .status
        .iter()
        .flat_map(|status| &status.volume_status);
    is_asked_for || volumes.any(|volume| volume.hotplug_volume.is_some())
}

fn has_network(subject: Subject<'_>, matches: fn(&Network) -> bool) -> bool {
    subject.spec.networks.iter().any(matches)
}

const fn on_multus(network: &Network) -> bool {
    network.multus.is_some()
}

fn is_default_multus(network: &Network) -> bool {
    network.multus.as_ref().is_some_and(|multus| multus.default)
}

#[cfg(test)]
mod tests;
