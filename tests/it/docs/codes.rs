//! `docs/codes.md` is the table of checks.

use std::fmt::Write as _;

use berth::decide::checks::Check;

use super::check_generated;

const HEAD: &str = "# Codes

Every problem that berth finds has a code. A code never changes its meaning. Codes that begin with `BRT01`
are checks that a node has to pass; the filter rejects a node that fails one.

This page is generated from the table of checks in `src/decide/checks.rs`.
";

fn codes() -> String {
    let mut text = HEAD.to_owned();
    for check in Check::ALL {
        let row = check.row();
        let severity: &str = row.severity.into();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n## {} {}\n\n`{}`\n\n{}\n\n**What to do:** {}\n\nSeverity: {severity}. Needs: {}. Name in metrics and logs: `{}`.\n",
            row.code,
            check.code_name(),
            check.text(Some("TYPE")),
            row.meaning,
            row.remedy,
            row.needs.text(),
            check.name(),
        );
    }
    text
}

#[test]
fn the_codes_are_documented_as_the_table_has_them() {
    let codes = codes();
    check_generated("docs/codes.md", &codes);
    for check in Check::ALL {
        let heading = format!("{} {}", check.row().code, check.code_name());
        assert!(codes.contains(&format!("## {heading}\n")));
        let anchor = heading.replace(' ', "-").to_lowercase();
        assert_eq!(check.docs(), format!("docs/codes.md#{anchor}"));
    }
}
