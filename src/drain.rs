//! `berth drain NODE…`: what the drain of nodes would do to their VMs. It only reads.

mod text;

use std::collections::BTreeSet;
use std::io::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::args::fleet::{Drain, FailOn};
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::output::{WriteError, write_report, write_schema};
use crate::check::report::{API_VERSION, Item};
use crate::check::suppress::{SuppressError, Suppressions};
use crate::decide::causes::Cause;
use crate::decide::checks::Severity;
use crate::fleet::finding::{Finding, Found, Verdict};
use crate::fleet::judge::Judgement;
use crate::fleet::plan::{self, Move, Plan};
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
    /// How many VMs do not move, or lose their migration, because of findings alone that are suppressed. The exit
    /// code does not count them.
    pub suppressed: usize,
    /// The outcomes that the exit code counts.
    #[serde(skip)]
    counted: Counted,
}

/// How many VMs have an outcome that is not suppressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    stuck: usize,
    not_judged: usize,
    shut_down: usize,
    ended_migrations: usize,
    /// The moves whose target does not fit.
    unfit: usize,
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
    /// No node was named.
    #[error("no node is named; write the nodes to drain, as in `berth drain NODE`")]
    NoneNamed,
    /// What is suppressed can't be.
    #[error(transparent)]
    Suppress(#[from] SuppressError),
    /// The plan can't be written.
    #[error(transparent)]
    Output(#[from] WriteError),
    /// What has to be known could not be read.
    #[error("no plan without what could not be read: {0}")]
    Gap(String),
}

/// Plans the drain of nodes, and gives the exit code.
///
/// # Errors
/// No plan could be made.
pub async fn run(args: &Drain, layout: Layout, out: &mut dyn Write) -> Result<u8, DrainError> {
    if args.schema.is_asked {
        write_schema::<DrainPlan<'static>>(out)?;
        return Ok(0);
    }
    // BERTH_SCHEMA may be set, and say that no schema is asked for.
    if args.nodes.is_empty() {
        return Err(DrainError::NoneNamed);
    }
    let suppressed = Suppressions::parse(&args.suppress.codes)?;
    let cluster = Cluster::read(&args.fleet, Scope::All).await?;
    let gaps = cluster.gaps();
    if !gaps.is_empty() {
        return Err(DrainError::Gap(reason(&gaps)));
    }
    let known = &cluster.loaded.fleet.nodes;
    if let Some(unknown) = args.nodes.iter().find(|node| !known.contains_key(*node)) {
        return Err(DrainError::NoNode(unknown.clone()));
    }
    suppressed.warn(&cluster.loaded.fleet, None);
    let mut named = BTreeSet::new();
    let nodes = args.nodes.iter().filter(|node| named.insert(*node));
    let nodes: Vec<String> = nodes.cloned().collect();
    let fleet = plan::drained(&cluster.loaded.fleet, &nodes);
    let made = plan::plan(&fleet, &nodes, &cluster.snapshot, &cluster.policy);
    let mut of_cluster = cluster.findings();
    of_cluster.retain(|found| !suppressed.leave_out(found, None));
    let plan = DrainPlan::new(nodes, &of_cluster, made, &suppressed);
    write_report(
        &plan,
        args.answer.output.format,
        layout,
        out,
        |layout| text::table(&plan, layout),
        || text::short(&plan, layout),
    )?;
    Ok(plan.exit_code(args.answer.fail_on, cluster.is_unanswered(|_| true)))
}

/// What could not be read, and what to do about it.
fn reason(gaps: &[Finding<'_>]) -> String {
    let gap = gaps.iter().map(|found| found.message.as_str());
    let gap: Vec<&str> = gap.collect();
    let remedies: BTreeSet<&str> = gaps.iter().map(|found| found.code.remedy()).collect();
    let remedies: Vec<&str> = remedies.into_iter().collect();
    format!("{}. {}", gap.join("; "), remedies.join(" "))
}

impl<'a> DrainPlan<'a> {
    fn new(
        nodes: Vec<String>,
        of_cluster: &[Finding<'a>],
        made: Plan<'a>,
        suppressed: &Suppressions<'_>,
    ) -> Self {
        let items = |judged: &[Judgement<'a>]| -> Vec<Item<'a>> {
            let items = judged.iter().map(|judged| item(judged, suppressed));
            items.collect()
        };
        let count = |judged: &[Judgement<'a>], decides: fn(&Finding<'_>) -> bool| {
            let counts = |judged: &&Judgement<'a>| {
                let decisive = judged.findings.iter().filter(|found| decides(found));
                let mut decisive = decisive.peekable();
                let is_left =
                    |found: &Finding<'_>| !suppressed.leave_out(found, Some(&judged.body));
                decisive.peek().is_none() || decisive.any(is_left)
            };
            judged.iter().filter(counts).count()
        };
        let mut moves = made.moves;
        for one in &mut moves {
            let vm = Some((one.vm_kind, one.namespace, one.name));
            one.findings
                .retain(|found| !suppressed.leave_out_code(found.code, vm));
        }
        let counted = Counted {
            unfit: moves.iter().filter(|one| one.goes_to_unfit()).count(),
            stuck: count(&made.stuck, |found| {
                found.is(Cause::BlocksDrain)
                    || (found.nodes.is_empty() && found.severity() == Severity::Error)
            }),
            not_judged: count(&made.not_judged, |found| {
                Verdict::of(std::slice::from_ref(found)) == Verdict::Unknown
            }),
            shut_down: count(&made.shut_down, |found| found.is(Cause::ShutDownByDrain)),
            ended_migrations: count(&made.ended_migrations, |found| {
                found.is(Cause::MigrationEndsByDrain)
            }),
        };
        let of_outcome = [
            made.stuck.len() - counted.stuck,
            made.not_judged.len() - counted.not_judged,
            made.shut_down.len() - counted.shut_down,
            made.ended_migrations.len() - counted.ended_migrations,
        ];
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "DrainPlan".to_owned(),
            nodes,
            findings: of_cluster.iter().map(Found::from).collect(),
            moves,
            stuck: items(&made.stuck),
            not_judged: items(&made.not_judged),
            shut_down: items(&made.shut_down),
            ended_migrations: items(&made.ended_migrations),
            suppressed: of_outcome.into_iter().sum(),
            counted,
        }
    }

    fn exit_code(&self, fail_on: FailOn, is_unanswered: bool) -> u8 {
        let counted = self.counted;
        if is_unanswered || counted.not_judged > 0 {
            3
        } else if counted.stuck > 0 {
            2
        } else {
            let warns = counted.shut_down > 0 || counted.ended_migrations > 0 || counted.unfit > 0;
            u8::from(warns && fail_on == FailOn::Warning)
        }
    }
}

/// A VM with the node that it runs or starts on.
fn item<'a>(judged: &Judgement<'a>, suppressed: &Suppressions<'_>) -> Item<'a> {
    let item = Item::new(judged, |found| {
        suppressed.leave_out(found, Some(&judged.body))
    });
    Item {
        node: item.node.or(item.starts_on),
        starts_on: None,
        ..item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_outcome() {
        for ([stuck, not_judged, shut_down, ended, unfit], is_unanswered, expect) in [
            ([0, 0, 0, 0, 0], false, [0, 0]),
            ([0, 0, 1, 0, 0], false, [1, 0]),
            ([0, 0, 0, 1, 0], false, [1, 0]),
            ([0, 0, 0, 0, 1], false, [1, 0]),
            ([1, 0, 1, 1, 1], false, [2, 2]),
            ([0, 1, 0, 0, 1], false, [3, 3]),
            ([1, 1, 1, 0, 0], false, [3, 3]),
            ([0, 0, 0, 0, 0], true, [3, 3]),
            ([1, 0, 0, 0, 0], true, [3, 3]),
        ] {
            let plan = DrainPlan {
                counted: Counted {
                    stuck,
                    not_judged,
                    shut_down,
                    ended_migrations: ended,
                    unfit,
                },
                ..DrainPlan::default()
            };
            let codes = [FailOn::Warning, FailOn::Error]
                .map(|fail_on| plan.exit_code(fail_on, is_unanswered));
            assert_eq!(
                codes, expect,
                "{stuck} {not_judged} {shut_down} {ended} {unfit} {is_unanswered}"
            );
        }
    }
}
