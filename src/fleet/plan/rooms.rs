//! The places that the VMs of a plan take on nodes.

use std::collections::BTreeMap;

use crate::fleet::model::Resources;
use crate::fleet::{Fleet, fit};

/// What is free on the nodes, without the places that VMs have taken.
pub(super) struct Rooms<'f> {
    free: BTreeMap<&'f str, Resources>,
    drained: &'f [String],
}

impl<'f> Rooms<'f> {
    /// Those of a cluster, of which these nodes are drained.
    pub(super) fn new(fleet: &'f Fleet, drained: &'f [String]) -> Self {
        Self {
            free: fit::free(fleet),
            drained,
        }
    }

    /// Takes a place for these requests on the roomiest of the targets, if one of them has room.
    pub(super) fn take<'t>(
        &mut self,
        targets: impl Iterator<Item = &'t str>,
        requests: &Resources,
    ) -> Option<&'t str> {
        let targets = targets.filter(|target| !self.drained.iter().any(|node| node == target));
        let target = roomiest(targets, requests, &self.free)?;
        self.change(target, requests, i64::saturating_sub);
        Some(target)
    }

    /// Gives back a place that was taken.
    pub(super) fn give_back(&mut self, node: &str, requests: &Resources) {
        self.change(node, requests, i64::saturating_add);
    }

    fn change(&mut self, node: &str, requests: &Resources, by: impl Fn(i64, i64) -> i64) {
        let Some(left) = self.free.get_mut(node) else {
            return;
        };
        for (resource, amount) in requests {
            if let Some(left) = left.get_mut(resource) {
                *left = by(*left, *amount);
            }
        }
    }
}

/// Of the targets that have room, the one with most memory left, as kube-scheduler spreads pods.
fn roomiest<'f>(
    targets: impl Iterator<Item = &'f str>,
    requests: &Resources,
    free: &BTreeMap<&str, Resources>,
) -> Option<&'f str> {
    let left = |node: &str, resource: &str| {
        let of_node = free.get(node);
        of_node
            .and_then(|left| left.get(resource))
            .copied()
            .unwrap_or_default()
    };
    let has_room = |node: &&str| {
        requests
            .iter()
            .all(|(resource, amount)| *amount <= 0 || *amount <= left(node, resource))
    };
    // Of equal ones the first by name.
    let mut best: Option<&str> = None;
    for node in targets.filter(has_room) {
        if best.is_none_or(|best| left(best, "memory") < left(node, "memory")) {
            best = Some(node);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_with_most_memory_left_is_chosen_among_those_with_room() {
        let left = |memory: i64, cpu: i64| {
            Resources::from([("memory".to_owned(), memory), ("cpu".to_owned(), cpu)])
        };
        let free = BTreeMap::from([
            ("a", left(9, 1)),
            ("b", left(5, 8)),
            ("c", left(5, 8)),
            ("d", left(7, 8)),
        ]);
        for (targets, requests, expect) in [
            (&["a", "b", "c", "d"][..], left(2, 2), Some("d")),
            (&["a", "b", "c"], left(2, 2), Some("b")),
            (&["a", "b", "c"], left(2, 1), Some("a")),
            (&["b", "c"], left(6, 1), None),
            (&[], left(1, 1), None),
            (&["x"], left(1, 1), None),
            (
                &["b"],
                Resources::from([("vendor/gpu".to_owned(), 1)]),
                None,
            ),
        ] {
            let chosen = roomiest(targets.iter().copied(), &requests, &free);
            assert_eq!(chosen, expect, "{targets:?} {requests:?}");
        }
    }
}
