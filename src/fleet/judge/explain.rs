//! The judgement of one VM with everything that went into it.

use std::collections::BTreeMap;

use crate::cluster::view::NodeEntry;
use crate::decide::checks::Check;
use crate::decide::explain::Explained;
use crate::decide::score::{Inputs, Scale};
use crate::fleet::fit::Misfit;
use crate::fleet::judge::{Body, Judge, Judgement};
use crate::fleet::target::TargetPod;
use crate::snapshot::Switches;

/// The judgement of a VM, and what it was made of.
#[derive(Clone, Debug)]
pub struct Explanation<'f> {
    /// The judgement.
    pub judgement: Judgement<'f>,
    /// The pod that would be placed.
    pub target: TargetPod,
    /// The pod in which the VM runs, as `NAMESPACE/NAME`.
    pub source_pod: Option<String>,
    /// The machine type that a node has to support.
    pub machine_type: Option<String>,
    /// How many logical switches the VM has; 0 where that is not known.
    pub switches: usize,
    /// Every node, by name.
    pub nodes: Vec<ExplainedNode<'f>>,
    /// What the targets' scores are measured against.
    pub scale: Scale,
}

/// What was judged of a node.
#[derive(Clone, Debug)]
pub struct ExplainedNode<'f> {
    /// Its name.
    pub name: &'f str,
    /// The checks of berth's filter that it fails, each with the facts of the node.
    pub failed: Vec<(Check, String)>,
    /// What kube-scheduler has against it.
    pub misfits: Vec<Misfit>,
    /// What its score is made of.
    pub inputs: Inputs,
    /// Its score among the targets; `None` for a node that is not one, because kube-scheduler asks for scores
    /// of the nodes alone that can take the pod.
    pub score: Option<u8>,
}

impl<'f> Judge<'f> {
    /// The judgement of one VM with what it is made of.
    #[must_use]
    pub fn explain(&mut self, body: Body<'f>) -> Explanation<'f> {
        let judgement = self.judge(body);
        // What these find is in the judgement already.
        let source = self.source(&body);
        let target = self.target(&body, source.map(|(_, pod)| pod), &mut Vec::new());
        let volumes = self.claims(&body).volumes;
        let mut failed: BTreeMap<&str, Vec<(Check, String)>> = BTreeMap::new();
        let required_agents = self.policy.required_agents(self.snapshot.capabilities());
        let machine_type = self.evaluate(&body, |candidate, verdict, _| {
            let explained = Explained {
                candidate: *candidate,
                verdict,
                required_agents,
            };
            let details = verdict.failed.iter();
            let details = details.map(|check| (check, explained.detail_of(check)));
            failed.insert(candidate.name, details.collect());
        });
        let cluster = &self.snapshot.cluster;
        let switches = self.snapshot.switches_of(body.namespace(), body.name());
        let placed = self.placement.misfits(&target, &volumes);
        let nodes = placed.by_node().into_iter().map(|(name, misfits)| {
            let entry = cluster.node(name);
            let facts = entry.and_then(NodeEntry::facts);
            let failed = failed.remove(name).unwrap_or_default();
            let mut checks = failed.iter();
            let lacks_type = checks.any(|(check, _)| *check == Check::MachineType);
            // What berth's check has said is not said again.
            let is_new = |misfit: &&Misfit| !(lacks_type && misfit.is_of_machine_type());
            let misfits = misfits.into_iter().filter(is_new).cloned().collect();
            ExplainedNode {
                name,
                failed,
                misfits,
                inputs: self.snapshot.inputs(facts, entry, switches.as_ref()),
                score: None,
            }
        });
        let mut nodes: Vec<ExplainedNode<'f>> = nodes.collect();
        let is_target = |node: &ExplainedNode<'_>| judgement.targets.contains(&node.name);
        let targets = nodes.iter().filter(|node| is_target(node));
        let inputs: Vec<Inputs> = targets.map(|node| node.inputs).collect();
        let scale = Scale::new(self.policy.weights, &inputs);
        for node in &mut nodes {
            node.score = is_target(node).then(|| scale.score(&node.inputs));
        }
        Explanation {
            source_pod: source.map(|(key, _)| key.to_string()),
            judgement,
            target,
            machine_type,
            switches: switches.as_ref().map_or(0, Switches::count),
            nodes,
            scale,
        }
    }
}
