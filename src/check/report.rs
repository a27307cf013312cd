//! What `berth check` found, in the shape in which it is printed as JSON and YAML.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::fleet::finding::{Finding, Found, Summary, Verdict};
use crate::fleet::judge::Judgement;

pub(crate) use crate::config::API_VERSION;

/// A report of `berth check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport<'a> {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `CheckReport`.
    pub kind: String,
    /// How many VMs got which verdict.
    pub summary: Summary,
    /// How many VMs cannot migrate, or are not judged, because of findings alone that are suppressed. The
    /// exit code does not count them.
    pub suppressed: usize,
    /// The cluster, where something was found of it as a whole, then the VMs.
    pub items: Vec<Item<'a>>,
}

/// A VM, or the cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item<'a> {
    /// `VirtualMachine`, `VirtualMachineInstance` (one without a VM) or `Cluster`.
    pub kind: &'a str,
    /// Its namespace; empty for the cluster.
    pub namespace: &'a str,
    /// Its name; empty for the cluster.
    pub name: &'a str,
    /// The node that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'a str>,
    /// `ok`, `warning`, `blocked` or `unknown`.
    pub verdict: &'a str,
    /// The nodes that can take it.
    pub targets: Vec<&'a str>,
    /// What was found.
    pub findings: Vec<Found<'a>>,
    /// The node on which it starts, if it does not run yet.
    #[serde(skip)]
    pub starts_on: Option<&'a str>,
    /// The codes of what was found and is suppressed.
    pub suppressed: BTreeSet<&'static str>,
    /// Those of them that alone keep the VM from migrating, or from being judged.
    #[serde(skip)]
    pub excuses: BTreeSet<&'static str>,
    /// The verdict without what is suppressed, which the exit code counts.
    #[serde(skip)]
    pub counted: Verdict,
}

impl<'a> CheckReport<'a> {
    /// A report of these items.
    #[must_use]
    pub fn new(items: Vec<Item<'a>>) -> Self {
        let mut summary = Summary::default();
        let vms = items.iter().filter(|item| !item.is_cluster());
        for item in vms.clone() {
            summary.add(item.verdict);
        }
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "CheckReport".to_owned(),
            summary,
            suppressed: vms.filter(|item| !item.excuses.is_empty()).count(),
            items,
        }
    }

    /// How many VMs got which verdict without what is suppressed.
    #[must_use]
    pub fn counted(&self) -> Summary {
        let mut counted = Summary::default();
        for item in self.items.iter().filter(|item| !item.is_cluster()) {
            counted.add(item.counted.into());
        }
        counted
    }
}

impl<'a> Item<'a> {
    /// What was found of the cluster as a whole.
    #[must_use]
    pub fn of_cluster(findings: &[Finding<'a>]) -> Self {
        let verdict = Verdict::of(findings);
        Self {
            kind: "Cluster",
            namespace: "",
            name: "",
            node: None,
            verdict: verdict.into(),
            targets: Vec::new(),
            findings: findings.iter().map(Found::from).collect(),
            starts_on: None,
            suppressed: BTreeSet::new(),
            excuses: BTreeSet::new(),
            counted: verdict,
        }
    }

    /// What was found of a VM, without what is suppressed. A VM that cannot migrate, or is not judged, cannot
    /// because its finding is left out: that changes the exit code alone.
    #[must_use]
    pub fn new(judgement: &Judgement<'a>, is_suppressed: impl Fn(&Finding<'_>) -> bool) -> Self {
        let Judgement {
            body,
            verdict,
            targets,
            are_targets_known,
            findings,
            ..
        } = judgement;
        let (suppressed, left): (Vec<_>, Vec<_>) = findings
            .iter()
            .cloned()
            .partition(|found| is_suppressed(found));
        let counted = Verdict::of(&left);
        let codes = |found: &[Finding<'_>]| found.iter().map(|found| found.code.id()).collect();
        let (verdict, decisive) = match (*verdict, counted) {
            (verdict, Verdict::Ok | Verdict::Warning) if !can_migrate(verdict) => {
                let mut decisive = suppressed.clone();
                decisive.retain(|found| Verdict::of(std::slice::from_ref(found)) == verdict);
                (verdict, decisive)
            }
            (Verdict::Ok | Verdict::Warning, counted) => (counted, Vec::new()),
            (verdict, _) => (verdict, Vec::new()),
        };
        Self {
            kind: body.kind.into(),
            namespace: body.namespace(),
            name: body.name(),
            node: body.node(),
            verdict: verdict.into(),
            targets: if *are_targets_known {
                targets.clone()
            } else {
                Vec::new()
            },
            findings: left.iter().map(Found::from).collect(),
            starts_on: body.starts_on(),
            suppressed: codes(&suppressed),
            excuses: codes(&decisive),
            counted,
        }
    }

    /// Whether it is about the cluster as a whole.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.kind == "Cluster"
    }
}

const fn can_migrate(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Ok | Verdict::Warning)
}
