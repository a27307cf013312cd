//! An explanation for people.

use super::{Configuration, Node, Source, Target, VmExplanation};
use crate::check::text::{plural, put, shown_name};
use crate::decide::explain::Scored;
use crate::fleet::fit::amount;
use crate::fleet::judge::{ExplainedNode, Explanation};
use crate::text::{LONGEST_TEXT, shorten};

/// The VM, what its judgement is made of, and each node.
pub(super) fn text(shown: &VmExplanation<'_>, explanation: &Explanation<'_>) -> String {
    let mut out = String::new();
    let place = match shown.source.node {
        Some(node) => format!(" on {}", shown_name(node)),
        None => String::new(),
    };
    let (namespace, name) = (shown_name(shown.namespace), shown_name(shown.name));
    let targets = plural(shown.targets.len(), "node");
    put(
        &mut out,
        format_args!(
            "{namespace}/{name}{place}: {}, {targets} can take it\n",
            shown.verdict
        ),
    );
    for found in &shown.findings {
        put(
            &mut out,
            format_args!("  {} {} ({})\n", found.code, found.message, found.severity),
        );
    }
    let versions = shown
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"));
    section(&mut out, "versions", versions);
    let Source {
        pod,
        machine_type,
        switches,
        ..
    } = shown.source;
    let source = [
        pod.map(|pod| format!("pod {}", shown_name(pod))),
        machine_type.map(|machine_type| format!("machine type {}", shown_name(machine_type))),
        (switches > 0).then(|| format!("logical switches: {switches}")),
    ];
    section(&mut out, "source", source.into_iter().flatten());
    section(&mut out, "target pod", target_lines(&shown.target_pod));
    let Configuration {
        network_provider,
        checks,
        checks_not_made,
        weights,
    } = &shown.configuration;
    let weights: Vec<String> = weights
        .iter()
        .map(|(input, weight)| format!("{input} {weight}"))
        .collect();
    let lines = [
        format!("network provider {network_provider}"),
        format!("checks made: {}", checks.join(" ")),
        format!("checks not made: {}", checks_not_made.join(" ")),
        format!("weights: {}", weights.join(", ")),
    ];
    section(&mut out, "configuration", lines.into_iter());
    out.push_str("nodes\n");
    for (node, explained) in shown.nodes.iter().zip(&explanation.nodes) {
        put_node(&mut out, node, explained, shown.source.switches);
    }
    out
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        put(out, format_args!("{title}\n"));
    }
    for line in lines {
        // Labels, taints and rules are what tenants write.
        put(out, format_args!("  {}\n", shorten(&line, LONGEST_TEXT)));
    }
}

fn target_lines(target: &Target<'_>) -> impl Iterator<Item = String> {
    let requests = target.requests.iter().filter(|(_, count)| **count != 0);
    let requests =
        requests.map(|(resource, count)| format!("{resource} {}", amount(resource, *count)));
    let requests: Vec<String> = requests.collect();
    let selector = target
        .selector
        .iter()
        .map(|(key, value)| format!("label {key}={value}"));
    let forbidden = target
        .forbidden
        .iter()
        .map(|label| format!("without label {label}"));
    let affinity = target
        .affinity
        .iter()
        .map(|affinity| format!("affinity {affinity}"));
    let tolerations = target
        .tolerations
        .iter()
        .map(|taint| format!("tolerates {taint}"));
    let requests = format!("requests {}", requests.join(", "));
    let lines = std::iter::once(requests)
        .chain(selector)
        .chain(forbidden)
        .chain(affinity);
    lines.chain(tolerations).collect::<Vec<_>>().into_iter()
}

fn put_node(out: &mut String, node: &Node<'_>, explained: &ExplainedNode<'_>, switches: usize) {
    let name = shown_name(node.name);
    let Some(score) = node.score else {
        put(out, format_args!("  {name}: no\n"));
        for found in &node.findings {
            put(out, format_args!("    {} {}\n", found.code, found.message));
        }
        return;
    };
    let scored = Scored {
        node: &name,
        score,
        inputs: explained.inputs,
        switches,
    };
    let parts = node.parts.iter().map(|part| {
        let got = u64::from(part.weight) * part.thousandths;
        format!(
            "{} {}.{} of {}",
            part.input,
            got / 1000,
            got % 1000 / 100,
            part.weight
        )
    });
    let parts: Vec<String> = parts.collect();
    put(out, format_args!("  {scored}\n    {}\n", parts.join(", ")));
}
