//! A report on a fleet, for people.

use crate::check::text;
use crate::fleet::census::{Census, Count, DEFAULT_CPU_MODEL, FEW, Scarce, Usage};
use crate::fleet::versions::or_newer;
use crate::layout::{
    BOLD, DIM, Layout, columns, plural, put, put_paragraph, put_wrapped, shown_name,
};
use crate::report::{FleetReport, Releases};

/// How many VMs are named in a list.
const NAMED_VMS: usize = 20;

/// The numbers, as they are and as they would be, then what was found of the cluster.
#[must_use]
pub fn table(report: &FleetReport<'_>, layout: Layout) -> String {
    let is = &report.census;
    let would_be = report.assumed.as_ref().map(|assumed| &assumed.census);
    let mut out = String::new();
    let section = |out: &mut String, title: &str, head: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            put_paragraph(title, 0, BOLD, layout, out);
            let table = columns(head, rows, Some(layout.width.saturating_sub(2)));
            for line in table.lines() {
                put(out, format_args!("  {line}\n"));
            }
            out.push('\n');
        }
    };
    if let Some(assumed) = &report.assumed {
        for text in &assumed.assumptions {
            let text = crate::text::shorten(text, crate::text::LONGEST_TEXT);
            put(&mut out, format_args!("assumed: {text}\n"));
        }
        out.push('\n');
    }
    section(&mut out, "versions", &[], releases(&report.versions));
    let rows = targets(is, would_be);
    section(
        &mut out,
        "VMs by targets (for a blocked VM, the nodes that would fit)",
        &["TARGETS", "VMS"],
        rows,
    );
    let head = ["VM", "NODE", "TARGET", "AGAINST OTHER NODES"];
    if let Some(assumed) = &report.assumed {
        let rows = named(assumed.stranded.iter());
        section(&mut out, "VMs that lose their last target", &head, rows);
    }
    let stranded = report.assumed.iter().flat_map(|assumed| &assumed.stranded);
    let stranded: Vec<&Scarce<'_>> = stranded.collect();
    let scarce = would_be.unwrap_or(is).scarce.iter();
    let others = scarce.filter(|vm| !stranded.contains(vm));
    section(&mut out, "VMs with no target or one", &head, named(others));
    for (title, head, usage) in [
        ("machine types", "MACHINE TYPE", of_types as Usages),
        ("CPU models", "CPU MODEL", of_models),
    ] {
        let head = [head, "RUNNING VMS", "NODES THAT CAN TAKE IT"];
        let rows = usages(usage(is), would_be.map(usage));
        section(&mut out, title, &head, rows);
    }
    let mut models = is.cpu_models.iter();
    if models.any(|usage| usage.name.starts_with(DEFAULT_CPU_MODEL)) {
        put_paragraph(&of_default_model(), 2, DIM, layout, &mut out);
        out.push('\n');
    }
    let head = ["CODE", "NAME", "SEVERITY", "VMS"];
    section(&mut out, "findings", &head, findings(is, would_be));
    if !report.cluster.is_empty() {
        put(&mut out, format_args!("{BOLD}the cluster{BOLD:#}\n"));
        for found in &report.cluster {
            text::line(found, layout, &mut out);
        }
        out.push('\n');
    }
    let program = layout.program;
    let more = format!(
        "{program} check shows what was found of each VM, {program} explain CODE explains a code"
    );
    put_paragraph(&more, 0, DIM, layout, &mut out);
    out.push('\n');
    put_wrapped(&text::summary(is.summary), 4, layout, &mut out);
    if let Some(would_be) = would_be {
        let summary = format!("assumed: {}", text::summary(would_be.summary));
        put_wrapped(&summary, 4, layout, &mut out);
    }
    out
}

/// The name and the version of what runs.
pub(crate) fn releases(releases: &Releases) -> Vec<Vec<String>> {
    let kubelets = releases.kubernetes.iter();
    let kubelets: Vec<String> = kubelets
        .map(|(version, nodes)| {
            format!(
                "{} ({})",
                shown_name(version.trim_start_matches('v')),
                plural(*nodes, "node")
            )
        })
        .collect();
    let ovn = releases.ovn.clone();
    let least = releases.ovn_at_least.as_deref();
    let ovn = ovn.or_else(|| Some(or_newer(least?, releases.kube_ovn.as_deref()?)));
    let kubernetes = (!kubelets.is_empty()).then(|| kubelets.join(", "));
    let rows = [
        ("Kubernetes", kubernetes.as_ref()),
        ("KubeVirt", releases.kubevirt.as_ref()),
        ("Kube-OVN", releases.kube_ovn.as_ref()),
        ("OVN-Kubernetes", releases.ovn_kubernetes.as_ref()),
        ("OVN", ovn.as_ref()),
    ];
    let known = rows
        .into_iter()
        .filter_map(|(name, release)| Some(vec![name.to_owned(), release?.clone()]));
    known.collect()
}

fn targets(is: &Census<'_>, would_be: Option<&Census<'_>>) -> Vec<Vec<String>> {
    let of = |census: &Census<'_>| {
        let targets = census.targets;
        [
            ("none".to_owned(), targets.none),
            ("1".to_owned(), targets.one),
            (format!("2 to {FEW}"), targets.few),
            (format!("{} or more", FEW + 1), targets.many),
            ("not known".to_owned(), targets.unknown),
        ]
    };
    let then = would_be.map(of);
    let rows = of(is).into_iter().enumerate();
    let rows = rows.map(|(at, (name, vms))| {
        let then = then.as_ref().and_then(|then| Some(then.get(at)?.1));
        (name, vms, then)
    });
    rows.filter(|(name, vms, then)| name != "not known" || *vms > 0 || *then > Some(0))
        .map(|(name, vms, then)| vec![name, change(vms, then)])
        .collect()
}

fn named<'s>(vms: impl Iterator<Item = &'s Scarce<'s>>) -> Vec<Vec<String>> {
    let vms: Vec<&Scarce<'_>> = vms.collect();
    let shown = vms.iter().take(NAMED_VMS).map(|vm| {
        let codes: Vec<&str> = vm.codes.iter().copied().collect();
        vec![
            format!("{}/{}", shown_name(vm.namespace), shown_name(vm.name)),
            vm.node.map_or_else(|| "-".to_owned(), shown_name),
            vm.targets
                .first()
                .map_or_else(|| "none".to_owned(), |node| shown_name(node)),
            codes.join(" "),
        ]
    });
    let more = vms.len().saturating_sub(NAMED_VMS);
    let more = (more > 0).then(|| vec![format!("and {more} more; -o json has all")]);
    shown.chain(more).collect()
}

fn of_default_model() -> String {
    format!(
        "{DEFAULT_CPU_MODEL}: the VMI names no CPU model, KubeVirt runs it with host-model, and a migration asks the nodes for the vendor of the CPU at most"
    )
}

type Usages = for<'c> fn(&'c Census<'_>) -> &'c [Usage];

fn of_types<'c>(census: &'c Census<'_>) -> &'c [Usage] {
    &census.machine_types
}

fn of_models<'c>(census: &'c Census<'_>) -> &'c [Usage] {
    &census.cpu_models
}

/// Assumptions change the nodes, and leave the VMs.
fn usages(is: &[Usage], would_be: Option<&[Usage]>) -> Vec<Vec<String>> {
    let rows = is.iter().map(|Usage { name, vms, nodes }| {
        let then = would_be.map(|then| then.iter().find(|usage| usage.name == *name));
        let then = then.map(|usage| usage.map_or(Some(0), |usage| usage.nodes));
        let nodes = nodes.map_or_else(|| "?".to_owned(), |nodes| change(nodes, then.flatten()));
        vec![shown_name(name), vms.to_string(), nodes]
    });
    rows.collect()
}

fn findings(is: &Census<'_>, would_be: Option<&Census<'_>>) -> Vec<Vec<String>> {
    let mut all: Vec<&Count> = is.findings.iter().collect();
    let then = would_be.into_iter().flat_map(|census| &census.findings);
    all.extend(then);
    all.sort_by_key(|count| count.code);
    all.dedup_by_key(|count| count.code);
    let vms = |census: &Census<'_>, code: &str| {
        let count = census.findings.iter().find(|count| count.code == code);
        count.map_or(0, |count| count.vms)
    };
    let rows = all.into_iter().map(|count| {
        let Count {
            code,
            name,
            severity,
            ..
        } = count;
        let then = would_be.map(|census| vms(census, code));
        let vms = change(vms(is, code), then);
        vec![
            (*code).to_owned(),
            (*name).to_owned(),
            (*severity).to_owned(),
            vms,
        ]
    });
    rows.collect()
}

/// A number as it is, and as it would be where that differs.
fn change(is: usize, would_be: Option<usize>) -> String {
    match would_be.filter(|then| *then != is) {
        Some(then) => format!("{is} → {then}"),
        None => is.to_string(),
    }
}
