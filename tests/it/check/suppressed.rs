//! Findings that are suppressed: they change the exit code, not what is true.

use serde_json::{Value, json};

use super::causes::{add, attach_lan, base, object, refused, vmi};
use super::{check, printed, report};

/// The VM `web`, which KubeVirt does not migrate.
fn refused_by_kubevirt() -> Value {
    let mut cluster = base();
    refused(&mut cluster, "SomethingNew");
    cluster
}

#[test]
fn a_vm_that_only_a_suppressed_finding_blocks_is_blocked_and_does_not_count() {
    let cluster = refused_by_kubevirt();
    let args = ["web", "--suppress", "BRT0211", "--suppress", "BRT0414"];
    let args = [
        &args[..],
        &["--suppress", "BRT0402", "--suppress", "BRT0505"],
    ]
    .concat();
    let output = check(&cluster, &args);
    assert_eq!(output.status.code(), Some(0));
    let text = printed(&output);
    assert!(!text.contains("can migrate"), "{text}");
    assert!(
        text.contains(
            "  × cannot migrate, because of suppressed findings: BRT0211\n    1 node would fit: b\n"
        ),
        "{text}"
    );
    assert!(
        text.ends_with("1 VM: 1 blocked (1 by suppressed findings alone)\n"),
        "{text}"
    );
    let report = report(&cluster, &args);
    assert_eq!(
        report["summary"],
        json!({"ok": 0, "warning": 0, "blocked": 1, "unknown": 0})
    );
    assert_eq!(report["suppressed"], 1);
    let web = &report["items"][1];
    assert_eq!(web["verdict"], "blocked");
    assert_eq!(web["suppressed"], json!(["BRT0211", "BRT0402", "BRT0414"]));
    let short = printed(&check(&cluster, &[&args[..], &["-o", "short"]].concat()));
    assert!(
        short.contains("default/web  a     blocked  1        (BRT0211)\n"),
        "{short}"
    );
}

#[test]
fn a_vm_with_another_error_counts_as_before() {
    let mut cluster = refused_by_kubevirt();
    vmi(
        &mut cluster,
        "metadata/deletionTimestamp",
        json!("2026-01-01T00:00:00Z"),
    );
    let output = check(&cluster, &["web", "--suppress", "BRT0211"]);
    assert_eq!(output.status.code(), Some(2));
    let text = printed(&output);
    assert!(!text.contains("suppressed"), "{text}");
}

#[test]
fn a_vm_that_is_not_judged_stays_so() {
    let mut cluster = base();
    attach_lan(&mut cluster);
    let args = ["web", "--suppress", "BRT0914", "--suppress", "BRT0505"];
    let output = check(&cluster, &args);
    assert_eq!(output.status.code(), Some(0));
    let text = printed(&output);
    assert!(
        text.contains("  ? not judged, because of suppressed findings: BRT0914\n"),
        "{text}"
    );
    assert!(
        text.ends_with("1 VM: 1 not judged (1 by suppressed findings alone)\n"),
        "{text}"
    );
}

#[test]
fn what_was_not_read_of_the_cluster_can_not_be_suppressed() {
    let mut cluster = base();
    object(&mut cluster, "KubeVirt")["spec"] = json!(7);
    let args = ["web", "--suppress", "BRT0903", "--suppress", "BRT0917"];
    assert_eq!(check(&cluster, &args).status.code(), Some(3));
    add(
        &mut cluster,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}}),
    );
    assert_eq!(check(&cluster, &args).status.code(), Some(3));
}

#[test]
fn a_rule_about_no_vm_is_named_on_standard_error_and_the_result_stays_as_it_is() {
    let cluster = base();
    let result = check(&cluster, &["-A"]).stdout;
    for (rule, expect) in [
        ("BRT0402=vm/default/wbe", "there is no VM default/wbe"),
        ("BRT0402=vmi/default/wbe", "there is no VMI default/wbe"),
        (
            "BRT0402=vmi/default/web",
            "the VMI is judged as its VM: write vm/default/web",
        ),
    ] {
        let output = check(&cluster, &["-A", "--suppress", rule]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("warning: --suppress {rule:?}: {expect}\n"));
        assert_eq!(output.stdout, result);
        assert_eq!(output.status.code(), Some(1));
    }
    let mut alone = base();
    super::causes::remove(&mut alone, "VirtualMachine");
    let output = check(&alone, &["-A", "--suppress", "BRT0402=vm/default/web"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.ends_with(": the VMI has no VM: write vmi/default/web\n"),
        "{said}"
    );
    // Of another namespace, and of a VM that is damaged, nothing is claimed.
    printed(&check(&cluster, &["--suppress", "BRT0402=vm/other/web"]));
    let mut damaged = base();
    object(&mut damaged, "VirtualMachine")["spec"] = json!("x");
    printed(&check(
        &damaged,
        &["-A", "--suppress", "BRT0402=vm/default/web"],
    ));
}

#[test]
fn a_rule_that_can_not_be_is_refused_with_the_code_that_is_closest() {
    for (rule, expect) in [
        (
            "BRT0143",
            "there is no code \"BRT0143\" (did you mean BRT0413 ShutDownByDrain?); `berth explain` lists all of them",
        ),
        (
            "OneTarge=vm/default/web",
            "there is no code \"OneTarge\" (did you mean BRT0402 OneTarget?); `berth explain` lists all of them",
        ),
        (
            "BRT0402=pod/default/web",
            "write CODE or CODE=KIND/NAMESPACE/NAME, as in BRT0413=vm/default/web, and the flag once for each",
        ),
    ] {
        let output = check(&base(), &["--suppress", rule]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("error: --suppress {rule:?}: {expect}\n"));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"");
    }
}
