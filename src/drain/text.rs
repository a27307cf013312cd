//! The plan of a drain, for people.

use crate::check::report::Item;
use crate::check::text;
use crate::drain::DrainPlan;
use crate::layout::{BOLD, Layout, columns, plural, put, put_wrapped, shown_name};

/// The moves by wave, the VMs that do not move and why, then what to do.
pub(super) fn table(plan: &DrainPlan<'_>, layout: Layout) -> String {
    let mut out = String::new();
    waves(plan, layout, &mut out);
    for vm in &plan.stuck {
        text::item(vm, " would block the drain", layout, &mut out);
    }
    for vm in &plan.not_judged {
        text::item(vm, " may block the drain", layout, &mut out);
    }
    for vm in &plan.shut_down {
        let vm = of_vm(vm, layout);
        text::item(&vm, " would be shut down", layout, &mut out);
    }
    for vm in &plan.ended_migrations {
        let vm = of_vm(vm, layout);
        text::item(
            &vm,
            " would stay: the drain ends its migration",
            layout,
            &mut out,
        );
    }
    let of_cluster = plan.findings.iter();
    let of_cluster = of_cluster.filter(|found| layout.is_wide || found.severity != "info");
    let mut of_cluster = of_cluster.peekable();
    if of_cluster.peek().is_some() {
        put(&mut out, format_args!("{BOLD}the cluster{BOLD:#}\n"));
        for found in of_cluster {
            text::line(found, layout, &mut out);
        }
        out.push('\n');
    }
    let moves = plan.moves.iter().map(|one| (&*one.findings, false));
    let stuck = plan.stuck.iter();
    let stuck = stuck.map(|vm| (&*vm.findings, vm.targets.is_empty()));
    let others = plan.not_judged.iter().chain(&plan.shut_down);
    let others = others.chain(&plan.ended_migrations);
    let others = others.map(|vm| (&*vm.findings, false));
    let of_cluster = [(&*plan.findings, false)];
    let found = moves.chain(stuck).chain(others).chain(of_cluster);
    text::remedies(found, layout, &mut out);
    put_wrapped(&summary(plan), 0, layout, &mut out);
    out
}

fn waves(plan: &DrainPlan<'_>, layout: Layout, out: &mut String) {
    for wave in plan.moves.chunk_by(|one, next| one.wave == next.wave) {
        if let Some(first) = wave.first() {
            put(out, format_args!("{BOLD}wave {}{BOLD:#}\n", first.wave));
        }
        for one in wave {
            let [namespace, name, from, to] =
                [one.namespace, one.name, one.from, one.to].map(shown_name);
            let progress = if one.is_under_way { ", under way" } else { "" };
            put(
                out,
                format_args!("  {namespace}/{name}  {from} → {to}{progress}\n"),
            );
            for found in &one.findings {
                text::line_at(found, 4, layout, out);
            }
        }
    }
    if !plan.moves.is_empty() {
        out.push('\n');
    }
}

/// A VM without what is said of nodes, unless all is asked for: where it could go does not matter.
fn of_vm<'a>(vm: &Item<'a>, layout: Layout) -> Item<'a> {
    let mut vm = vm.clone();
    if !layout.is_wide {
        vm.targets.clear();
        vm.findings.retain(|found| found.nodes.is_empty());
    }
    vm
}

/// A line for each VM: what the drain does to it, where it goes and in which wave, the codes.
pub(super) fn short(plan: &DrainPlan<'_>, layout: Layout) -> String {
    let none = || "-".to_owned();
    let moves = plan.moves.iter().map(|one| {
        vec![
            text::vm(one.namespace, one.name),
            shown_name(one.from),
            "moves".to_owned(),
            shown_name(one.to),
            one.wave.to_string(),
            text::codes(&one.findings),
        ]
    });
    let others = [
        (&plan.stuck, "blocks"),
        (&plan.not_judged, "not judged"),
        (&plan.shut_down, "shuts down"),
        (&plan.ended_migrations, "stays"),
    ];
    let others = others.into_iter().flat_map(|(vms, what)| {
        vms.iter().map(move |vm| {
            vec![
                text::vm(vm.namespace, vm.name),
                vm.node.map_or_else(none, shown_name),
                what.to_owned(),
                none(),
                none(),
                text::codes_of(vm),
            ]
        })
    });
    let head = ["VM", "NODE", "OUTCOME", "TO", "WAVE", "CODES"];
    let width = layout.breaks_rows.then_some(layout.width);
    columns(&head, moves.chain(others), width)
}

/// How many VMs there are of each outcome.
fn summary(plan: &DrainPlan<'_>) -> String {
    let nodes: Vec<String> = plan.nodes.iter().map(|node| shown_name(node)).collect();
    let vms = |vms: &[Item<'_>]| plural(vms.len(), "VM");
    let mut parts = Vec::new();
    if let Some(last) = plan.moves.last() {
        let moves = plural(plan.moves.len(), "VM");
        let waves = plural(last.wave, "wave");
        parts.push(format!("{moves} would move in {waves}"));
        let unfit = plan.moves.iter().filter(|one| one.goes_to_unfit());
        match unfit.count() {
            0 => {}
            count => parts.push(format!("{count} of them to a node that does not fit")),
        }
    }
    if !plan.stuck.is_empty() {
        parts.push(format!("{} would block the drain", vms(&plan.stuck)));
    }
    if !plan.not_judged.is_empty() {
        parts.push(format!("{} could not be judged", vms(&plan.not_judged)));
    }
    if !plan.shut_down.is_empty() {
        parts.push(format!("{} would be shut down", vms(&plan.shut_down)));
    }
    if parts.is_empty() {
        parts.push("no VM has to move".to_owned());
    }
    match plan.ended_migrations.len() {
        0 => {}
        1 => parts.push("1 migration would end".to_owned()),
        count => parts.push(format!("{count} migrations would end")),
    }
    let excused = text::excused(plan.suppressed);
    format!("{}: {}{excused}", nodes.join(", "), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_without_vms_says_so() {
        let plan = DrainPlan {
            nodes: vec!["a".to_owned(), "b".to_owned()],
            ..DrainPlan::default()
        };
        assert_eq!(summary(&plan), "a, b: no VM has to move");
    }
}
