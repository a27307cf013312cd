//! `docs/compatibility.md` is the table of releases.

use std::fmt::Write as _;

use berth::decide::compatibility::ALL;

use super::check_generated;

const HEAD: &str = "# Compatibility

The releases that berth works with, and how that is known. `berth check --install` and `berth check --pre` compare them
with what runs: an older release is an error ([BRT0601](codes.md#brt0601-releasetooold)), a newer one is reported
([BRT0602](codes.md#brt0602-releasenotknown)).

| component | releases | tested | otherwise |
| --- | --- | --- | --- |
";

const FOOT: &str = "
Known bugs of KubeVirt, Kube-OVN and OVN that harm live migrations are `BRT05…` in the [list of codes](codes.md), each with
the releases that have it. `berth check` names those of the releases that run.

This page is generated from the table in `src/decide/compatibility.rs`.
";

#[test]
fn the_releases_are_documented_as_the_table_has_them() {
    let mut page = HEAD.to_owned();
    for row in ALL {
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            row.component,
            row.releases(),
            row.tested,
            row.otherwise
        );
    }
    page.push_str(FOOT);
    check_generated("docs/compatibility.md", &page);
}
