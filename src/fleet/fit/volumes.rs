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

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    const BETA_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
    const ZONE: &str = "topology.kubernetes.io/zone";
    const REGION: &str = "topology.kubernetes.io/region";

    fn volume(affinity: Value, labels: Value) -> Volume {
        Volume {
            node_affinity: from_value(affinity).unwrap(),
            labels: from_value(labels).unwrap(),
        }
    }

    fn reaches(volume: &Volume, node: &Value) -> bool {
        let labels: Labels = from_value(node.clone()).unwrap();
        Reach::of(volume).is_none_or(|reach| reach.contains(&labels))
    }

    #[test]
    fn a_volume_reaches_the_nodes_that_its_affinity_matches() {
        let on = |key: &str, value: &str| {
            json!({"nodeSelectorTerms": [{"matchExpressions": [
                {"key": key, "operator": "In", "values": [value]}]}]})
        };
        let named = json!({"nodeSelectorTerms": [{"matchFields": [
            {"key": "metadata.name", "operator": "In", "values": ["other"]}]}]});
        for (affinity, node, expect) in [
            (json!(null), json!({}), true),
            (
                on("kubernetes.io/hostname", "a"),
                json!({"kubernetes.io/hostname": "a"}),
                true,
            ),
            (
                on("kubernetes.io/hostname", "a"),
                json!({"kubernetes.io/hostname": "b"}),
                false,
            ),
            (on("kubernetes.io/hostname", "a"), json!({}), false),
            // Fields are not looked at for volumes.
            (named, json!({}), true),
            (json!({"nodeSelectorTerms": []}), json!({}), false),
        ] {
            let volume = volume(affinity.clone(), json!({}));
            assert_eq!(reaches(&volume, &node), expect, "{affinity} {node}");
        }
    }

    #[test]
    fn a_volume_with_topology_labels_reaches_the_nodes_of_its_zones() {
        for (volume_labels, node, expect) in [
            (json!({ZONE: "az1"}), json!({ZONE: "az1"}), true),
            (json!({ZONE: "az1"}), json!({ZONE: "az2"}), false),
            (json!({ZONE: "az1"}), json!({REGION: "eu"}), false),
            // A node without any topology label.
            (json!({ZONE: "az1"}), json!({}), true),
            (json!({ZONE: "az1__az2"}), json!({ZONE: "az2"}), true),
            (json!({ZONE: "az1__ az2 "}), json!({ZONE: "az2"}), true),
            (json!({ZONE: "az1__az2"}), json!({ZONE: "az3"}), false),
            // What cannot be read is ignored.
            (json!({ZONE: "az1__"}), json!({ZONE: "az2"}), true),
            (json!({ZONE: ""}), json!({ZONE: "az2"}), true),
            (
                json!({ZONE: "az1", REGION: "eu"}),
                json!({ZONE: "az1", REGION: "us"}),
                false,
            ),
            (
                json!({ZONE: "az1", REGION: "eu"}),
                json!({ZONE: "az1", REGION: "eu"}),
                true,
            ),
            // The old label of a volume is met by the new label of a node, not the other way.
            (json!({BETA_ZONE: "az1"}), json!({BETA_ZONE: "az1"}), true),
            (json!({BETA_ZONE: "az1"}), json!({ZONE: "az1"}), true),
            (
                json!({BETA_ZONE: "az1"}),
                json!({BETA_ZONE: "az2", ZONE: "az1"}),
                false,
            ),
            (json!({ZONE: "az1"}), json!({BETA_ZONE: "az1"}), false),
            (json!({"zone": "az1"}), json!({ZONE: "az2"}), true),
        ] {
            let volume = volume(json!(null), volume_labels.clone());
            assert_eq!(reaches(&volume, &node), expect, "{volume_labels} {node}");
        }
    }

    #[test]
    fn the_reach_of_a_volume_is_shown_with_affinity_and_labels() {
        let affinity = json!({"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "rack", "operator": "In", "values": ["r1", "r2"]}]}]});
        let reach = Reach::of(&volume(affinity, json!({ZONE: "az1__az2", "x": "y"})));
        assert_eq!(
            reach.unwrap().text(),
            "rack In (r1, r2) and topology.kubernetes.io/zone=az1__az2"
        );
        assert_eq!(Reach::of(&volume(json!(null), json!({"x": "y"}))), None);
    }
}
