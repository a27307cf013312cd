//! From a file, as `kubectl get … -A -o json` or `-o yaml` writes it.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Gathered, KUBEVIRT, NAMESPACE, Surrounding, Survey, SurveyError};
use crate::cluster::file::{self, FormatError};
use crate::decide::causes::Cause;
use crate::domain::Network;
use crate::fleet::finding::Finding;
use crate::fleet::kind;
use crate::wire::kubevirt::Kind;

/// Reads a file.
///
/// # Errors
/// The file is not one that kubectl wrote.
pub fn from_file(path: &Path, network: &Network) -> Result<Survey, SurveyError> {
    Ok(file::load_with(path, |text| parse(text, network))?)
}

fn parse(text: &str, network: &Network) -> Result<Survey, FormatError> {
    let documents = file::documents(text)?;
    let objects = file::objects(&documents)?;
    let mut surrounding = Surrounding::default();
    let mut seen = BTreeSet::new();
    for (identity, text) in &objects {
        let kind = (identity.group.as_str(), identity.kind.as_str());
        seen.extend(kind::Kind::of(kind.0, kind.1));
        if kind == NAMESPACE || kind == KUBEVIRT {
            surrounding.take(kind, network, text);
        }
    }
    let namespaces = std::mem::take(&mut surrounding.namespaces);
    let knows_default = surrounding.has_kubevirt();
    let (rules, mut gathered) = surrounding.rules(knows_default, network);
    for (identity, text) in objects {
        if let Some(kind) = Kind::of(&identity.group, &identity.kind) {
            gathered.take(kind, &rules, text);
        } else if identity.group.is_empty() && identity.kind == "Pod" {
            gathered.take_pod(text);
        }
    }
    let missing = missing(&seen, &gathered);
    let findings = missing
        .iter()
        .map(|kind| Finding::of(Cause::NotInSnapshot, kind.plural()));
    let mut survey = gathered.survey(rules, namespaces, findings.collect());
    for kind in missing {
        survey.absent.extend(Kind::of(kind.group(), kind.name()));
    }
    survey.is_partial |= !survey.absent.is_empty();
    Ok(survey)
}

/// The kinds that a cluster with VMs has, and the file has none of. A file of a cluster without VMs, or without
/// VMs that run, may lack one of the two.
fn missing(seen: &BTreeSet<kind::Kind>, gathered: &Gathered) -> Vec<kind::Kind> {
    use kind::Kind::{KubeVirt, Namespace, Pod, VirtualMachine, VirtualMachineInstance};
    let is_needed = |kind| match kind {
        VirtualMachine => !seen.contains(&VirtualMachineInstance) || gathered.has_made_vmi,
        VirtualMachineInstance => !seen.contains(&VirtualMachine) || gathered.has_running_vm,
        _ => true,
    };
    let kinds = [
        Pod,
        Namespace,
        VirtualMachine,
        VirtualMachineInstance,
        KubeVirt,
    ];
    let missing = kinds
        .into_iter()
        .filter(|kind| !seen.contains(kind) && is_needed(*kind));
    missing.collect()
}
