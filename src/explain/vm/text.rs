//! An explanation for people.

use super::{Configuration, LiveMigratable, Node, Part, Source, Target, VmExplanation};
use crate::check::text;
use crate::decide::score::{BEST, Input};
use crate::fleet::fit::amount;
use crate::layout::{BOLD, Layout, PLAIN, plural, put, put_paragraph, put_wrapped, shown_name};
use crate::report::text::releases;
use crate::text::{LONGEST_TEXT, shorten};

/// The VM, what its judgement is made of, and each node.
pub(super) fn text(shown: &VmExplanation<'_>, layout: Layout) -> String {
    let mut out = String::new();
    heading(shown, layout, &mut out);
    for found in &shown.findings {
        text::line(found, layout, &mut out);
    }
    let versions = releases(&shown.versions).into_iter();
    let versions = versions.map(|row| row.join(" ")).collect();
    section("versions", versions, layout, &mut out);
    section("source", source_lines(&shown.source), layout, &mut out);
    let target = target_lines(&shown.target_pod);
    section("target pod", target, layout, &mut out);
    let configuration = configuration_lines(&shown.configuration);
    section("configuration", configuration, layout, &mut out);
    put(&mut out, format_args!("\n{BOLD}nodes{BOLD:#}\n"));
    for node in &shown.nodes {
        put_node(node, shown, layout, &mut out);
    }
    out
}

/// Whether the VM can migrate, and to how many nodes.
fn heading(shown: &VmExplanation<'_>, layout: Layout, out: &mut String) {
    let (namespace, name) = (shown_name(shown.namespace), shown_name(shown.name));
    let node = shown.source.node.map(shown_name);
    let place = node.map_or_else(String::new, |node| format!(" on {node}"));
    let count = plural(shown.targets.len(), "node");
    let starts_on = shown.source.starts_on;
    let comes_to = match (is_blocked(shown), starts_on, shown.targets.len()) {
        (true, _, 0) => "cannot migrate, and no node would fit".to_owned(),
        (true, ..) => format!("cannot migrate; without what blocks it, {count} would fit"),
        (false, Some(node), _) => format!("is starting on {}", shown_name(node)),
        (false, None, _) if shown.source.node.is_none() => format!("can start on {count}"),
        (false, None, _) => format!("can migrate to {count}"),
    };
    put(
        out,
        format_args!("{BOLD}{namespace}/{name}{place}{BOLD:#}: "),
    );
    put_wrapped(&comes_to, 4, layout, out);
}

fn is_blocked(shown: &VmExplanation<'_>) -> bool {
    shown.verdict == "blocked"
}

fn section(title: &str, lines: Vec<String>, layout: Layout, out: &mut String) {
    if !lines.is_empty() {
        put(out, format_args!("\n{BOLD}{title}{BOLD:#}\n"));
    }
    for line in lines {
        out.push_str("  ");
        // Labels, taints and rules are what tenants write.
        put_wrapped(&shorten(&line, LONGEST_TEXT), 6, layout, out);
    }
}

fn source_lines(source: &Source<'_>) -> Vec<String> {
    let Source {
        pod,
        machine_type,
        switches,
        live_migratable,
        ..
    } = source;
    let condition = live_migratable.as_ref().map(|condition| {
        let LiveMigratable {
            status,
            reason,
            message,
        } = condition;
        let reason = reason.map(|reason| format!(" ({reason})"));
        let message = message.map(|message| format!(": {message}"));
        let [reason, message] = [reason, message].map(Option::unwrap_or_default);
        format!("KubeVirt's condition LiveMigratable is {status}{reason}{message}")
    });
    let lines = [
        pod.map(|pod| format!("pod {}", shown_name(pod))),
        machine_type.map(|machine_type| format!("machine type {}", shown_name(machine_type))),
        (*switches > 0).then(|| format!("logical switches: {switches}")),
        condition,
    ];
    lines.into_iter().flatten().collect()
}

fn target_lines(target: &Target<'_>) -> Vec<String> {
    let requests = target.requests.iter().filter(|(_, count)| **count != 0);
    let requests =
        requests.map(|(resource, count)| format!("{resource} {}", amount(resource, *count)));
    let requests: Vec<String> = requests.collect();
    let mut lines = vec![format!("requests {}", requests.join(", "))];
    let selector = target.selector.iter();
    lines.extend(selector.map(|(key, value)| format!("label {key}={value}")));
    let forbidden = target.forbidden.iter();
    lines.extend(forbidden.map(|label| format!("without label {label}")));
    let affinity = target.affinity.iter();
    lines.extend(affinity.map(|affinity| format!("affinity {affinity}")));
    let tolerations = target.tolerations.iter();
    lines.extend(tolerations.map(|taint| format!("tolerates {taint}")));
    lines
}

fn configuration_lines(configuration: &Configuration) -> Vec<String> {
    let Configuration {
        network_provider,
        checks,
        checks_not_made,
        weights,
    } = configuration;
    let listed = |codes: &[&str]| match codes {
        [] => "none".to_owned(),
        codes => codes.join(" "),
    };
    let weights = weights.iter();
    let weights: Vec<String> = weights
        .map(|(input, weight)| format!("{input} {weight}"))
        .collect();
    vec![
        format!("network provider {network_provider}"),
        format!("checks made: {}", listed(checks)),
        format!("checks not made: {}", listed(checks_not_made)),
        format!("weights of a score: {}", weights.join(", ")),
    ]
}

fn put_node(node: &Node<'_>, shown: &VmExplanation<'_>, layout: Layout, out: &mut String) {
    let name = shown_name(node.name);
    let Some(score) = node.score else {
        let cannot = if is_blocked(shown) {
            "would not fit"
        } else {
            "cannot take it"
        };
        put(out, format_args!("  {name}: {cannot}\n"));
        for found in &node.findings {
            put(out, format_args!("    {} ", found.code));
            put_wrapped(&found.message, 12, layout, out);
        }
        return;
    };
    let can = if is_blocked(shown) {
        "would fit"
    } else {
        "can take it"
    };
    put(
        out,
        format_args!("  {name}: {can}, score {score} of {BEST}\n"),
    );
    for part in &node.parts {
        let text = part_text(part, shown.source.switches);
        put_paragraph(&text, 4, PLAIN, layout, out);
    }
}

/// What an input adds to a score, and why.
fn part_text(part: &Part, switches: usize) -> String {
    let Part {
        input,
        value,
        weight,
        thousandths,
    } = part;
    let name = input.name();
    if *weight == 0 {
        return format!("{name}: not used, its weight is 0");
    }
    let got = u64::from(*weight) * thousandths;
    let counts = match (got / 1000, got % 1000 / 100) {
        (whole, 0) => format!("{whole} of {weight}"),
        (whole, tenth) => format!("{whole}.{tenth} of {weight}"),
    };
    let Some(value) = value else {
        return format!("{name}: not known (counts as {counts})");
    };
    let known = match input {
        Input::Locality => format!("{value} of {switches} switches are local"),
        Input::Arriving if *value == 1 => "1 migration is on its way there".to_owned(),
        Input::Arriving => format!("{value} migrations are on their way there"),
        Input::Response => format!("the chassis answers in {value} ms"),
        Input::Stability => format!("the chassis is steady for {value} s"),
    };
    format!("{name}: {counts}, {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_score_says_what_is_known_and_what_it_counts() {
        for (input, value, weight, thousandths, expect) in [
            (
                Input::Locality,
                None,
                6,
                1000,
                "locality: not known (counts as 6 of 6)",
            ),
            (
                Input::Locality,
                Some(1),
                6,
                250,
                "locality: 1.5 of 6, 1 of 2 switches are local",
            ),
            (
                Input::Arriving,
                Some(0),
                2,
                1000,
                "arriving: 2 of 2, 0 migrations are on their way there",
            ),
            (
                Input::Arriving,
                Some(1),
                2,
                500,
                "arriving: 1 of 2, 1 migration is on its way there",
            ),
            (
                Input::Response,
                Some(12),
                1,
                900,
                "response: 0.9 of 1, the chassis answers in 12 ms",
            ),
            (
                Input::Stability,
                Some(600),
                1,
                1000,
                "stability: 1 of 1, the chassis is steady for 600 s",
            ),
            (
                Input::Stability,
                Some(600),
                0,
                1000,
                "stability: not used, its weight is 0",
            ),
        ] {
            let part = Part {
                input,
                value,
                weight,
                thousandths,
            };
            assert_eq!(part_text(&part, 2), expect);
        }
    }
}
