//! The releases that berth works with, and how that is known. `docs/compatibility.md` is generated from this table.

use crate::decide::version::{Range, Version, between};

/// What is said of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// Its name.
    pub component: &'static str,
    /// The releases that berth knows: those before are not supported, those after are not known.
    pub known: Range,
    /// What was tested, and how.
    pub tested: &'static str,
    /// What was not run, and what berth relies on in its place.
    pub otherwise: &'static str,
}

/// Kubernetes.
pub const KUBERNETES: Compatibility = Compatibility {
    component: "Kubernetes",
    known: between(Version(1, 30, 0), Version(1, 37, 0)),
    tested: "1.36: kube-apiserver and kube-scheduler run in the end-to-end tests",
    otherwise: "1.30 to 1.35: the manifests agree with the schemas of 1.30 and 1.36. The component `admission-policy` needs 1.36.",
};

/// KubeVirt.
pub const KUBEVIRT: Compatibility = Compatibility {
    component: "KubeVirt",
    known: between(Version(1, 0, 0), Version(1, 10, 0)),
    tested: "1.9: virt-controller runs in the end-to-end tests, and requests of it were captured",
    otherwise: "1.0 to 1.8: `kubevirt.io/v1` is the same. What differs between releases (the node selector of target pods, known bugs) was read in their sources.",
};

/// Kube-OVN.
pub const KUBE_OVN: Compatibility = Compatibility {
    component: "Kube-OVN",
    known: between(Version(1, 12, 0), Version(1, 17, 0)),
    tested: "none: annotations of nodes and pods of agents are made as Kube-OVN makes them",
    otherwise: "1.12 to 1.16: labels, annotations and known bugs were read in their sources. For [continuity](continuity.md), tests write to a real OVN what the controllers of 1.13 to 1.16 write during a migration.",
};

/// OVN-Kubernetes, whose images have no version that berth could compare.
pub const OVN_KUBERNETES: Compatibility = Compatibility {
    component: "OVN-Kubernetes",
    known: Range::ALL,
    tested: "none: annotations of nodes and pods of agents are made as OVN-Kubernetes makes them",
    otherwise: "Labels and annotations were read in its source and in OpenShift's cluster-network-operator. Releases are not compared.",
};

/// OVN. Which release runs is told by that of Kube-OVN.
pub const OVN: Compatibility = Compatibility {
    component: "OVN",
    known: between(Version(22, 12, 0), Version(25, 4, 0)),
    tested: "23.03: ovn-northd, ovn-controller and the databases run in the integration tests, where they are installed. 25.09.4: these tests were run by hand",
    otherwise: "22.12, 24.03 and 25.03, which Kube-OVN ships: known bugs were read in their sources.",
};

/// Every component, in the order of the table.
pub const ALL: [Compatibility; 5] = [KUBERNETES, KUBEVIRT, KUBE_OVN, OVN_KUBERNETES, OVN];

/// How a release relates to those that berth knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is older than the first one.
    TooOld,
    /// It is among them.
    Known,
    /// It is newer than the last one.
    NotKnown,
}

impl Compatibility {
    /// How a release relates to those that berth knows.
    #[must_use]
    pub fn relation(&self, release: Version) -> Relation {
        if self.known.contains(release) {
            Relation::Known
        } else if self.known.from.is_some_and(|first| release < first) {
            Relation::TooOld
        } else {
            Relation::NotKnown
        }
    }

    /// The releases that berth knows, for people.
    #[must_use]
    pub fn releases(&self) -> String {
        let minor = |Version(major, minor, _): Version| {
            if major < 20 {
                format!("{major}.{minor}")
            } else {
                format!("{major}.{minor:02}")
            }
        };
        match (self.known.from, self.known.before) {
            (Some(from), Some(Version(major, after, patch))) => {
                let last = Version(major, after.saturating_sub(1), patch);
                format!("{} to {}", minor(from), minor(last))
            }
            _ => self.known.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_too_old_known_or_not_known_yet() {
        for (component, release, expect) in [
            (KUBERNETES, Version(1, 29, 9), Relation::TooOld),
            (KUBERNETES, Version(1, 30, 0), Relation::Known),
            (KUBERNETES, Version(1, 36, 4), Relation::Known),
            (KUBERNETES, Version(1, 37, 0), Relation::NotKnown),
            (KUBEVIRT, Version(0, 59, 2), Relation::TooOld),
            (KUBE_OVN, Version(1, 16, 9), Relation::Known),
            (OVN_KUBERNETES, Version(0, 0, 1), Relation::Known),
        ] {
            let found = component.relation(release);
            assert_eq!(found, expect, "{} {release}", component.component);
        }
    }

    #[test]
    fn the_releases_are_written_as_their_projects_write_them() {
        let releases = ALL.map(|row| row.releases());
        let expect = [
            "1.30 to 1.36",
            "1.0 to 1.9",
            "1.12 to 1.16",
            "every release",
            "22.12 to 25.03",
        ];
        assert_eq!(releases, expect);
    }
}
