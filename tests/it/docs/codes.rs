//! `docs/codes.md` is the table of codes.

use std::fmt::Write as _;

use berth::decide::codes::Code;

use super::check_generated;

const HEAD: &str = "# Codes

Everything that berth finds has a code. A code never changes its meaning. `berth explain CODE` prints its section.

| codes | content |
| --- | --- |
| `BRT01…` | checks that a node has to pass: the filter rejects a node that fails one |
| `BRT02…` | why KubeVirt does not migrate a VM |
| `BRT03…` | the network |
| `BRT04…` | why kube-scheduler does not place a VM on a node, capacity, and drains |
| `BRT05…` | known bugs of the releases of KubeVirt, Kube-OVN and OVN that run |
| `BRT06…` | what berth requires of a cluster and of its own installation |
| `BRT09…` | what could not be judged |

This page is generated from the tables in `src/decide/checks.rs`, `src/decide/causes`,
`src/decide/advisories.rs` and `src/decide/requirements.rs`.
";

fn codes() -> String {
    let mut text = HEAD.to_owned();
    for code in Code::all() {
        let severity: &str = code.severity().into();
        let mut shows = String::new();
        let mut origin = String::new();
        if let Code::Advisory(advisory) = code {
            let row = advisory.row();
            shows = format!("**How it shows:** {}\n\n", row.shows);
            origin = format!(" Affected: {}. Source: <{}>.", row.releases(), row.source);
        }
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n## {} {}\n\n`{}`\n\n{}\n\n{shows}**What to do:** {}\n\nSeverity: {severity}.{origin}",
            code.id(),
            code.name(),
            code.text(Some("TYPE")),
            code.meaning(),
            code.remedy(),
        );
        if let Code::Check(check) = code {
            let needs = check.row().needs.text();
            let _ = write!(
                text,
                " Needs: {needs}. Name in metrics and logs: `{}`.",
                check.name()
            );
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_codes_are_documented_as_the_table_has_them() {
    let codes = codes();
    check_generated("docs/codes.md", &codes);
    for code in Code::all() {
        let heading = format!("{} {}", code.id(), code.name());
        assert!(codes.contains(&format!("## {heading}\n")));
        let anchor = heading.replace(' ', "-").to_lowercase();
        assert_eq!(code.docs(), format!("docs/codes.md#{anchor}"));
    }
}
