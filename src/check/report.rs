//! What `berth check` found, in the shape in which it is printed as JSON and YAML.

use schemars::JsonSchema;
use serde::Serialize;

use crate::fleet::finding::{Finding, Verdict};
use crate::fleet::judge::Judgement;

/// The version of the shape. A field may be added within one.
const API_VERSION: &str = "berth.dev/v1alpha1";

/// A report of `berth check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `CheckReport`.
    pub kind: String,
    /// How many VMs got which verdict.
    pub summary: Summary,
    /// The cluster, where something was found of it as a whole, then the VMs.
    pub items: Vec<Item>,
}

/// How many VMs got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// They can migrate.
    pub ok: usize,
    /// They can, and something is to be mended.
    pub warning: usize,
    /// They can't.
    pub blocked: usize,
    /// They could not be judged.
    pub unknown: usize,
}

/// A VM, or the cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// `VirtualMachine`, `VirtualMachineInstance` (one without a VM) or `Cluster`.
    pub kind: String,
    /// Its namespace; empty for the cluster.
    pub namespace: String,
    /// Its name; empty for the cluster.
    pub name: String,
    /// The node that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `ok`, `warning`, `blocked` or `unknown`.
    pub verdict: String,
    /// The nodes that can take it.
    pub targets: Vec<String>,
    /// What was found.
    pub findings: Vec<Found>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// `BRT` and four digits.
    pub code: String,
    /// The name of the code.
    pub name: String,
    /// `error`, `warning`, `info` or `unchecked`.
    pub severity: String,
    /// What was found, in one line.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The nodes that it is about; empty where it is about the object as a whole.
    pub nodes: Vec<String>,
}

impl CheckReport {
    /// A report of these items.
    #[must_use]
    pub fn new(items: Vec<Item>) -> Self {
        let mut summary = Summary::default();
        for item in items.iter().filter(|item| !item.is_cluster()) {
            *match item.verdict.as_str() {
                "ok" => &mut summary.ok,
                "warning" => &mut summary.warning,
                "blocked" => &mut summary.blocked,
                _ => &mut summary.unknown,
            } += 1;
        }
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "CheckReport".to_owned(),
            summary,
            items,
        }
    }
}

impl Item {
    /// What was found of the cluster as a whole.
    #[must_use]
    pub fn of_cluster(findings: &[Finding<'_>]) -> Self {
        Self {
            kind: "Cluster".to_owned(),
            namespace: String::new(),
            name: String::new(),
            node: None,
            verdict: Verdict::of(findings).to_string(),
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

impl From<&Judgement<'_>> for Item {
    fn from(judgement: &Judgement<'_>) -> Self {
        let Judgement {
            body,
            verdict,
            targets,
            findings,
            ..
        } = judgement;
        let kind: &str = body.kind.into();
        Self {
            kind: kind.to_owned(),
            namespace: body.namespace().to_owned(),
            name: body.name().to_owned(),
            node: body.node().map(str::to_owned),
            verdict: verdict.to_string(),
            targets: targets.iter().map(|node| (*node).to_owned()).collect(),
            findings: findings.iter().map(Found::from).collect(),
        }
    }
}

impl From<&Finding<'_>> for Found {
    fn from(finding: &Finding<'_>) -> Self {
        let Finding {
            code,
            message,
            nodes,
        } = finding;
        let severity: &str = code.severity().into();
        Self {
            code: code.id().to_owned(),
            name: code.name().to_owned(),
            severity: severity.to_owned(),
            message: message.clone(),
            remedy: code.remedy().to_owned(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        }
    }
}
