//! What can be assumed, and of what.

use super::*;

#[test]
fn a_glob_matches_a_whole_name() {
    for (glob, name, expect) in [
        ("el9-0", "el9-0", true),
        ("el9-0", "el9-00", false),
        ("*", "", true),
        ("el9-*", "el9-0", true),
        ("el9-*", "el10-0", false),
        ("*-0", "el9-0", true),
        ("*-0", "el9-01", false),
        ("e*9*0", "el9-0", true),
        ("a*a", "a", false),
        ("pc-q35-rhel9.*", "pc-q35-rhel9.6.0", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(glob, name), expect, "{glob} {name}");
    }
}

#[test]
fn an_assumption_names_nodes_and_a_change() {
    let parsed = |text| Assumption::parse(text).map(|read| (read.nodes, read.change));
    assert_eq!(parsed("a,b-*=like:c"), Ok(("a,b-*", Change::Like("c"))));
    assert_eq!(
        parsed("*=without:machine-type/pc-q35-*"),
        Ok(("*", Change::WithoutMachineType("pc-q35-*")))
    );
    for text in [
        "",
        "a",
        "a=",
        "a=like",
        "a=like:",
        "=like:b",
        "a,=like:b",
        "a=unlike:b",
        "a=without:b",
        "a=without:machine-type/",
        "a=without:cpu-model/x",
    ] {
        assert_eq!(parsed(text), Err(AssumeError::Form(text.to_owned())));
    }
}
