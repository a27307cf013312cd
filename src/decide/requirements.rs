//! What berth requires of a cluster and of its own installation: one row for each requirement, with the code of
//! what is found where it is not met. `berth check --install` and `--pre` look at them in this order.

mod table;

use strum::IntoStaticStr;

use crate::decide::checks::Severity;

pub use table::Requirement;

/// What requirements are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Topic {
    /// Kubernetes, KubeVirt and the network.
    Cluster,
    /// What the installation needs.
    Installing,
    /// The pods of berth and their rights.
    Replicas,
    /// The Secret and the webhook configurations that trust it.
    Certificates,
    /// The annotation that berth adds.
    Injection,
    /// The calls of kube-scheduler.
    Scheduler,
}

/// The texts and properties of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequirementRow {
    /// The stable code, `BRT` and four digits. A code is never used for anything else.
    pub code: &'static str,
    /// What it is about.
    pub topic: Topic,
    /// How much it matters where it is not met.
    pub severity: Severity,
    /// What is so where it is met.
    pub met: &'static str,
    /// What is wrong where it is not met, in a few words; a finding adds of what.
    pub text: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}
