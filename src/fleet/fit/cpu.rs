//! The labels of nodes about CPUs, in words.

use super::list;
use crate::fleet::target::labels;

/// What the label of a node says about its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Vendor,
    Model,
    HostModel,
    MigrationModel,
    Feature,
}

const KINDS: [(&str, Kind); 5] = [
    (labels::CPU_VENDOR, Kind::Vendor),
    (labels::CPU_MODEL, Kind::Model),
    (labels::HOST_CPU_MODEL, Kind::HostModel),
    (labels::CPU_MODEL_MIGRATION, Kind::MigrationModel),
    (labels::CPU_FEATURE, Kind::Feature),
];

fn parsed(label: &str) -> Option<(Kind, &str)> {
    KINDS
        .into_iter()
        .find_map(|(prefix, kind)| Some((kind, label.strip_prefix(prefix)?)))
}

/// Whether the label is about a CPU.
pub(super) fn is_about(label: &str) -> bool {
    parsed(label).is_some()
}

/// That a node lacks these labels, all of which are about its CPU.
pub(super) fn lack(labels: &[&str]) -> String {
    let mut parsed: Vec<(Kind, &str)> = labels.iter().filter_map(|label| parsed(label)).collect();
    parsed.sort_unstable();
    let parts = parsed
        .chunk_by(|(kind, _), (next, _)| kind == next)
        .map(|chunk| {
            let names: Vec<&str> = chunk.iter().map(|(_, name)| *name).collect();
            let kind = chunk.first().map_or(Kind::Feature, |(kind, _)| *kind);
            let shown = list(&names);
            let is_one = names.len() == 1;
            match kind {
                Kind::Vendor => format!("vendor is not {shown}"),
                Kind::Model => format!("no model {shown}"),
                Kind::HostModel => format!("model is not {shown}"),
                Kind::MigrationModel => format!("no host model {shown}"),
                Kind::Feature if is_one => format!("no feature {shown}"),
                Kind::Feature => format!("no features {shown}"),
            }
        });
    parts.collect::<Vec<_>>().join(", ")
}

/// That a node has this label, and must not.
pub(super) fn forbidden(label: &str) -> String {
    match label.strip_prefix(labels::CPU_FEATURE) {
        Some(feature) => format!("has the forbidden feature {feature}"),
        None if label == labels::OBSOLETE_HOST_MODEL => "obsolete host model".to_owned(),
        None => format!("has the forbidden label {label}"),
    }
}
