//! What is left of the nodes' resources, as kube-scheduler's plugin `NodeResourcesFit` counts.

use std::collections::BTreeMap;

use crate::fleet::Fleet;
use crate::fleet::model::Resources;

/// What is left of each node by name: its allocatable resources minus the requests of the pods that are
/// bound to it. Less than nothing is possible.
#[must_use]
pub fn free(fleet: &Fleet) -> BTreeMap<&str, Resources> {
    let nodes = fleet.nodes.iter();
    let mut free: BTreeMap<&str, Resources> = nodes
        .map(|(name, node)| (name.as_str(), node.allocatable.clone()))
        .collect();
    for pod in fleet.pods.values() {
        let Some(left) = pod.node.as_deref().and_then(|node| free.get_mut(node)) else {
            continue;
        };
        for (resource, amount) in &pod.requests {
            match left.get_mut(resource) {
                Some(left) => *left = left.saturating_sub(*amount),
                None => {
                    left.insert(resource.clone(), amount.saturating_neg());
                }
            }
        }
    }
    free
}

/// What is left by resource: one amount for each node, in their order.
#[derive(Debug)]
pub(super) struct Free {
    columns: BTreeMap<String, Box<[i64]>>,
    nodes: usize,
}

impl Free {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let nodes = fleet.nodes.len();
        let mut columns: BTreeMap<String, Box<[i64]>> = BTreeMap::new();
        for (at, left) in free(fleet).into_values().enumerate() {
            for (resource, amount) in left {
                let column = columns.entry(resource);
                let column = column.or_insert_with(|| vec![0; nodes].into());
                if let Some(cell) = column.get_mut(at) {
                    *cell = amount;
                }
            }
        }
        Self { columns, nodes }
    }

    /// The nodes, by position, that lack something of this: each with the resource, what is requested
    /// and what is left.
    pub(super) fn lacking<'a>(
        &'a self,
        requests: &'a Resources,
    ) -> impl Iterator<Item = (usize, Lack<'a>)> {
        let wanted = requests.iter().filter(|(_, requested)| **requested > 0);
        wanted.flat_map(|(resource, &requested)| {
            let column = self.columns.get(resource);
            (0..self.nodes).filter_map(move |at| {
                let free = column.and_then(|column| column.get(at));
                let free = free.copied().unwrap_or_default().max(0);
                let lack = Lack {
                    resource,
                    requested,
                    free,
                };
                (requested > free).then_some((at, lack))
            })
        })
    }
}

/// A resource of which a node has less than a pod requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::fleet) struct Lack<'a> {
    /// The resource.
    pub(in crate::fleet) resource: &'a str,
    /// What is requested.
    pub(in crate::fleet) requested: i64,
    /// What is left, at least nothing.
    pub(in crate::fleet) free: i64,
}

const GIB: i64 = 1 << 30;
const MIB: i64 = 1 << 20;

impl Lack<'_> {
    /// The lack in readable units: `memory: 2.3 GiB requested, 1.1 GiB free`.
    pub(in crate::fleet) fn text(self) -> String {
        let Self {
            resource,
            requested,
            free,
        } = self;
        let (requested, free) = match resource {
            "cpu" => (thousandths(requested), thousandths(free)),
            _ if is_bytes(resource) => bytes(requested, free),
            _ => (requested.to_string(), free.to_string()),
        };
        format!("{resource}: {requested} requested, {free} free")
    }
}

/// An amount of a resource in a readable unit: `1.3 GiB`.
#[must_use]
pub fn amount(resource: &str, amount: i64) -> String {
    match resource {
        "cpu" => thousandths(amount),
        _ if is_bytes(resource) => bytes(amount, 0).0,
        _ => amount.to_string(),
    }
}

fn is_bytes(resource: &str) -> bool {
    matches!(resource, "memory" | "ephemeral-storage") || resource.starts_with("hugepages-")
}

fn thousandths(milli: i64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Both amounts in the largest unit in which they differ.
fn bytes(requested: i64, free: i64) -> (String, String) {
    let units = [(GIB, "GiB"), (MIB, "MiB")];
    let texts = units.into_iter().filter(|(unit, _)| requested >= *unit);
    let mut texts = texts.map(|(unit, name)| {
        let text = |bytes: i64| {
            let tenths = (i128::from(bytes) * 10 + i128::from(unit / 2)) / i128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        };
        (text(requested), text(free))
    });
    let differ = texts.find(|(requested, free)| requested != free);
    differ.unwrap_or_else(|| (format!("{requested} B"), format!("{free} B")))
}

#[cfg(test)]
mod tests;
