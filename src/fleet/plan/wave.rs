//! The migrations that KubeVirt runs at a time.

use std::collections::HashMap;

use crate::fleet::model::KubeVirt;

/// KubeVirt's default of `parallelMigrationsPerCluster`.
const PER_CLUSTER: usize = 5;

/// KubeVirt's default of `parallelOutboundMigrationsPerNode`.
const PER_NODE: usize = 2;

/// How many migrations KubeVirt runs at a time.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    per_cluster: usize,
    /// From one node.
    per_node: usize,
}

impl Limits {
    /// Those of a KubeVirt CR.
    pub(super) fn of(kubevirt: Option<&KubeVirt>) -> Self {
        let migrations = kubevirt.map(|cr| &cr.spec.configuration.migrations);
        let limit = |set: Option<u32>, default| {
            let set = set.and_then(|limit| usize::try_from(limit).ok());
            set.filter(|limit| *limit > 0).unwrap_or(default)
        };
        Self {
            per_cluster: limit(
                migrations.and_then(|set| set.parallel_migrations_per_cluster),
                PER_CLUSTER,
            ),
            per_node: limit(
                migrations.and_then(|set| set.parallel_outbound_migrations_per_node),
                PER_NODE,
            ),
        }
    }
}

/// The migrations that run at a time.
pub(super) struct Wave<'f> {
    limits: Limits,
    by_node: HashMap<&'f str, usize>,
    count: usize,
}

impl<'f> Wave<'f> {
    /// A wave in which no migration runs yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            by_node: HashMap::new(),
            count: 0,
        }
    }

    /// The next wave, in which no migration runs yet.
    pub(super) fn next(&self) -> Self {
        Self::new(self.limits)
    }

    /// Whether one more can run from this node.
    pub(super) fn has_room(&self, from: &str) -> bool {
        let of_node = self.by_node.get(from).copied().unwrap_or_default();
        self.count < self.limits.per_cluster && of_node < self.limits.per_node
    }

    /// Counts a migration from this node.
    pub(super) fn add(&mut self, from: &'f str) {
        *self.by_node.entry(from).or_default() += 1;
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_no_more_moves_than_kubevirt_runs_at_a_time() {
        let waves = |per_cluster: Option<u32>| {
            let mut kubevirt = KubeVirt::default();
            let migrations = &mut kubevirt.spec.configuration.migrations;
            migrations.parallel_migrations_per_cluster = per_cluster;
            let mut waiting = vec!["a", "a", "a", "a", "b", "b", "b", "b"];
            let mut waves = Vec::new();
            while !waiting.is_empty() {
                let mut wave = Wave::new(Limits::of(Some(&kubevirt)));
                let mut moving = String::new();
                waiting.retain(|from| {
                    let has_room = wave.has_room(from);
                    if has_room {
                        wave.add(from);
                        moving.push_str(from);
                    }
                    !has_room
                });
                waves.push(moving);
            }
            waves
        };
        assert_eq!(waves(None), ["aabb", "aabb"]);
        assert_eq!(waves(Some(3)), ["aab", "aab", "bb"]);
    }
}
