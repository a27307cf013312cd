//! `berth drain NODE…`: what the drain of nodes would do to their VMs. It only reads.

use schemars::JsonSchema;
use serde::Serialize;

use crate::args::fleet::{Drain, FailOn};
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::text::{self, Layout, plural, put, put_wrapped, shown_name};
use crate::check::{Answer, print_plan};
use crate::fleet::finding::Found;
use crate::fleet::kind::Kind;
use crate::fleet::plan::{self, Left, Move};

/// A plan, as it is printed as JSON and YAML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    pub stuck: Vec<Left<'a>>,
    /// The VMs that the drain would shut down.
    pub shut_down: Vec<Left<'a>>,
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
    let mut gaps = cluster.gaps();
    // The eviction strategy of VMs without one of their own is in it.
    gaps.extend(cluster.unread(|kind| *kind == Kind::KubeVirt));
    if !gaps.is_empty() {
        let gaps: Vec<String> = gaps.into_iter().map(|found| found.message).collect();
        return Err(DrainError::Gap(gaps.join("; ")));
    }
    let known = &cluster.loaded.fleet.nodes;
    if let Some(unknown) = args.nodes.iter().find(|node| !known.contains_key(*node)) {
        return Err(DrainError::NoNode(unknown.clone()));
    }
    let fleet = plan::cordoned(&cluster.loaded.fleet, &args.nodes);
    let made = plan::plan(&fleet, &args.nodes, &cluster.snapshot, &cluster.policy);
    let code = match (made.stuck.is_empty(), made.shut_down.is_empty()) {
        (false, _) => 2,
        (true, false) if args.answer.fail_on == FailOn::Warning => 1,
        (true, _) => 0,
    };
    let printed = DrainPlan {
        api_version: "berth.dev/v1alpha1".to_owned(),
        kind: "DrainPlan".to_owned(),
        nodes: args.nodes.clone(),
        findings: of_cluster.iter().map(Found::from).collect(),
        moves: made.moves,
        stuck: made.stuck,
        shut_down: made.shut_down,
    };
    Ok(Answer {
        text: print_plan(&printed, args.answer.output, || table(&printed, layout)),
        code,
    })
}

fn table(plan: &DrainPlan<'_>, layout: Layout) -> String {
    let mut out = String::new();
    for wave in plan.moves.chunk_by(|one, next| one.wave == next.wave) {
        if let Some(first) = wave.first() {
            put(&mut out, format_args!("wave {}\n", first.wave));
        }
        for one in wave {
            put(
                &mut out,
                format_args!(
                    "  {}/{}  {} → {}\n",
                    shown_name(one.namespace),
                    shown_name(one.name),
                    shown_name(one.from),
                    shown_name(one.to)
                ),
            );
            for found in &one.findings {
                put_found(found, layout, &mut out);
            }
        }
    }
    for (title, vms, shows_nodes) in [
        ("the drain would wait for", &plan.stuck, true),
        ("the drain would shut down", &plan.shut_down, false),
    ] {
        if !vms.is_empty() {
            put(&mut out, format_args!("{title}\n"));
        }
        for vm in vms {
            put(
                &mut out,
                format_args!(
                    "  {}/{} on {}\n",
                    shown_name(vm.namespace),
                    shown_name(vm.name),
                    shown_name(vm.node)
                ),
            );
            for found in &vm.findings {
                let is_source = found.nodes == [vm.node];
                if found.nodes.is_empty() || shows_nodes && !is_source {
                    put_found(found, layout, &mut out);
                }
            }
        }
    }
    let of_cluster = || {
        plan.findings
            .iter()
            .filter(|found| found.severity != "info")
    };
    if of_cluster().next().is_some() {
        out.push_str("the cluster\n");
    }
    for found in of_cluster() {
        text::line(found, layout, &mut out);
    }
    let waves = plan.moves.last().map_or(0, |one| one.wave);
    let moves = plural(plan.moves.len(), "VM");
    let (stuck, shut_down) = (plan.stuck.len(), plan.shut_down.len());
    let waves = plural(waves, "wave");
    let nodes: Vec<String> = plan.nodes.iter().map(|node| shown_name(node)).collect();
    let summary = format!(
        "{}: {moves} would move in {waves}, {stuck} would block the drain, {shut_down} would be shut down",
        nodes.join(", ")
    );
    put_wrapped(&summary, 0, layout, &mut out);
    out
}

fn put_found(found: &Found<'_>, layout: Layout, out: &mut String) {
    let Found {
        code,
        message,
        nodes,
        ..
    } = found;
    let nodes = match nodes.len() {
        0 => String::new(),
        count => format!(" ({})", plural(count, "node")),
    };
    put(out, format_args!("    {code} "));
    put_wrapped(&format!("{message}{nodes}"), 12, layout, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_without_vms_says_so() {
        let plan = DrainPlan {
            api_version: String::new(),
            kind: String::new(),
            nodes: vec!["a".to_owned()],
            findings: Vec::new(),
            moves: Vec::new(),
            stuck: Vec::new(),
            shut_down: Vec::new(),
        };
        let layout = Layout {
            is_wide: false,
            width: 100,
            program: "berth",
        };
        assert_eq!(
            table(&plan, layout),
            "a: 0 VMs would move in 0 waves, 0 would block the drain, 0 would be shut down\n"
        );
    }
}
