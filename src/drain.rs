//! `berth drain NODE…`: what the drain of nodes would do to their VMs. It only reads.

mod text;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::args::fleet::{Drain, FailOn};
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::report::{API_VERSION, Item};
use crate::check::{self, Answer};
use crate::fleet::finding::{Finding, Found};
use crate::fleet::judge::Judgement;
use crate::fleet::plan::{self, Move};
use crate::layout::Layout;

/// A plan, as it is printed as JSON and YAML.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainPlan<'a> {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `DrainPlan`.
    pub kind: String,
    /// The nodes that are drained.
    pub nodes: Vec<String>,
    /// What was found of the cluster as a whole.
    pub findings: Vec<Found<'a>>,
    /// The VMs that move, in the order of their waves.
    pub moves: Vec<Move<'a>>,
    /// The VMs that the drain would wait for.
    pub stuck: Vec<Item<'a>>,
    /// The VMs that could not be judged. The drain may wait for them.
    pub not_judged: Vec<Item<'a>>,
    /// The VMs that the drain would shut down.
    pub shut_down: Vec<Item<'a>>,
    /// The VMs that run on elsewhere, and whose migration to these nodes the drain would end.
    pub ended_migrations: Vec<Item<'a>>,
}

/// Why no plan was made.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The cluster can't be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A node that was named is not there.
    #[error("there is no node {0:?}")]
    NoNode(String),
    /// What has to be known could not be read.
    #[error("no plan without what could not be read: {0}")]
    Gap(String),
}

/// Plans the drain of nodes.
///
/// # Errors
/// No plan could be made.
pub async fn run(args: &Drain, layout: Layout) -> Result<Answer, DrainError> {
    let cluster = Cluster::read(&args.fleet, Scope::All).await?;
    let of_cluster = cluster.findings();
    let gaps = cluster.gaps();
    if !gaps.is_empty() {
        return Err(DrainError::Gap(reason(&gaps)));
    }
    let known = &cluster.loaded.fleet.nodes;
    if let Some(unknown) = args.nodes.iter().find(|node| !known.contains_key(*node)) {
        return Err(DrainError::NoNode(unknown.clone()));
    }
    let mut named = BTreeSet::new();
    let nodes = args.nodes.iter().filter(|node| named.insert(*node));
    let nodes: Vec<String> = nodes.cloned().collect();
    let fleet = plan::cordoned(&cluster.loaded.fleet, &nodes);
    let made = plan::plan(&fleet, &nodes, &cluster.snapshot, &cluster.policy);
    let plan = DrainPlan {
        api_version: API_VERSION.to_owned(),
        kind: "DrainPlan".to_owned(),
        nodes: nodes.clone(),
        findings: of_cluster.iter().map(Found::from).collect(),
        stuck: items(&made.stuck),
        not_judged: items(&made.not_judged),
        shut_down: items(&made.shut_down),
        ended_migrations: items(&made.ended_migrations),
        moves: made.moves,
    };
    Ok(Answer {
        text: check::print_report(
            &plan,
            args.answer.output.format,
            layout,
            |layout| text::table(&plan, layout),
            || text::short(&plan, layout),
        ),
        code: plan.exit_code(args.answer.fail_on, cluster.is_unanswered(|_| true)),
    })
}

/// The VMs, each with the node that it runs or starts on.
fn items<'a>(judged: &[Judgement<'a>]) -> Vec<Item<'a>> {
    let items = judged.iter().map(|judged| {
        let item = Item::new(judged, |_| false);
        Item {
            node: item.node.or_else(|| judged.body.starts_on()),
            ..item
        }
    });
    items.collect()
}

/// What could not be read, and what to do about it.
fn reason(gaps: &[Finding<'_>]) -> String {
    let gap = gaps.iter().map(|found| found.message.as_str());
    let gap: Vec<&str> = gap.collect();
    let remedies: BTreeSet<&str> = gaps.iter().map(|found| found.code.remedy()).collect();
    let remedies: Vec<&str> = remedies.into_iter().collect();
    format!("{}. {}", gap.join("; "), remedies.join(" "))
}

impl DrainPlan<'_> {
    fn exit_code(&self, fail_on: FailOn, is_unanswered: bool) -> u8 {
        let is_lossless = self.shut_down.is_empty() && self.ended_migrations.is_empty();
        if is_unanswered || !self.not_judged.is_empty() {
            3
        } else if !self.stuck.is_empty() {
            2
        } else {
            u8::from(!is_lossless && fail_on == FailOn::Warning)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_outcome() {
        let vms = |count: usize| vec![Item::of_cluster(&[]); count];
        for (stuck, not_judged, shut_down, ended, is_unanswered, expect) in [
            (0, 0, 0, 0, false, [0, 0]),
            (0, 0, 1, 0, false, [1, 0]),
            (0, 0, 0, 1, false, [1, 0]),
            (1, 0, 1, 1, false, [2, 2]),
            (0, 1, 0, 0, false, [3, 3]),
            (1, 1, 1, 0, false, [3, 3]),
            (0, 0, 0, 0, true, [3, 3]),
            (1, 0, 0, 0, true, [3, 3]),
        ] {
            let plan = DrainPlan {
                stuck: vms(stuck),
                not_judged: vms(not_judged),
                shut_down: vms(shut_down),
                ended_migrations: vms(ended),
                ..DrainPlan::default()
            };
            let codes = [FailOn::Warning, FailOn::Error]
                .map(|fail_on| plan.exit_code(fail_on, is_unanswered));
            assert_eq!(
                codes, expect,
                "{stuck} {not_judged} {shut_down} {ended} {is_unanswered}"
            );
        }
    }
}
