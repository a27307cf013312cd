//! What `berth check` found, in the shape in which it is printed as JSON and YAML.

use schemars::JsonSchema;
use serde::Serialize;

use crate::fleet::finding::{Finding, Found, Summary, Verdict};
use crate::fleet::judge::Judgement;

/// The version of the shape. A field may be added within one.
pub(crate) const API_VERSION: &str = "berth.dev/v1alpha1";

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
}

impl<'a> CheckReport<'a> {
    /// A report of these items.
    #[must_use]
    pub fn new(items: Vec<Item<'a>>) -> Self {
        let mut summary = Summary::default();
        for item in items.iter().filter(|item| !item.is_cluster()) {
            summary.add(item.verdict);
        }
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "CheckReport".to_owned(),
            summary,
            items,
        }
    }
}

impl<'a> Item<'a> {
    /// What was found of the cluster as a whole.
    #[must_use]
    pub fn of_cluster(findings: &[Finding<'a>]) -> Self {
        Self {
            kind: "Cluster",
            namespace: "",
            name: "",
            node: None,
            verdict: Verdict::of(findings).into(),
            targets: Vec::new(),
            findings: findings.iter().map(Found::from).collect(),
        }
    }

    /// Whether it is about the cluster as a whole.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.kind == "Cluster"
    }
}

impl<'a> From<&Judgement<'a>> for Item<'a> {
    fn from(judgement: &Judgement<'a>) -> Self {
        let Judgement {
            body,
            verdict,
            targets,
            findings,
            ..
        } = judgement;
        Self {
            kind: body.kind.into(),
            namespace: body.namespace(),
            name: body.name(),
            node: body.node(),
            verdict: (*verdict).into(),
            targets: targets.clone(),
            findings: findings.iter().map(Found::from).collect(),
        }
    }
}
