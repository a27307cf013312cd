//! From which nodes a volume can be reached, as kube-scheduler's plugins `VolumeBinding` and
//! `VolumeZone` judge it.

use super::affinity::NodeAffinity;
use crate::fleet::model::{Labels, Volume};

/// The labels of a volume that bind it to nodes, and the label of a node in place of one that it lacks.
const TOPOLOGY: [(&str, &str); 4] = [
    (
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    (
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
];

/// Where a volume can be reached. Many volumes have the same reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reach {
    affinity: Option<NodeAffinity>,
    /// Topology labels of the volume, as positions in [`TOPOLOGY`].
    topology: Vec<(usize, String)>,
}

impl Reach {
    /// The reach of a volume; `None` if every node reaches it.
    pub(super) fn of(volume: &Volume) -> Option<Self> {
        let affinity = volume.node_affinity.clone().map(NodeAffinity::new);
        let topology: Vec<_> = TOPOLOGY
            .iter()
            .enumerate()
            .filter_map(|(at, (label, _))| Some((at, volume.labels.get(*label)?.clone())))
            .filter(|(_, zones)| zones.split(SEPARATOR).all(|zone| !zone.trim().is_empty()))
            .collect();
        let is_bound = affinity.is_some() || !topology.is_empty();
        is_bound.then_some(Self { affinity, topology })
    }

    /// Whether a node with these labels reaches the volume.
    pub(super) fn contains(&self, labels: &Labels) -> bool {
        let affinity = self.affinity.as_ref();
        affinity.is_none_or(|affinity| affinity.matches(labels, None))
            && (self.topology.iter().all(|(at, zones)| is_in(*at, zones, labels))
                // In a cluster of one zone, the nodes need no labels.
                || TOPOLOGY.iter().all(|(label, _)| !labels.contains_key(*label)))
    }

    /// The reach in words.
    pub(super) fn text(&self) -> String {
        let affinity = self.affinity.iter().map(NodeAffinity::to_string);
        let topology = self.topology.iter().filter_map(|(at, zones)| {
            let (label, _) = TOPOLOGY.get(*at)?;
            Some(format!("{label}={zones}"))
        });
        affinity.chain(topology).collect::<Vec<_>>().join(" and ")
    }
}

/// Between the zones of a label that has several.
const SEPARATOR: &str = "__";

fn is_in(at: usize, zones: &str, labels: &Labels) -> bool {
    let Some((label, instead)) = TOPOLOGY.get(at) else {
        return true;
    };
    let zone = labels.get(*label).or_else(|| labels.get(*instead));
    zone.is_some_and(|zone| zones.split(SEPARATOR).any(|one| one.trim() == zone))
}
