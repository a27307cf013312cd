//! What the commands for people print: in colour and without, narrow and wide. The texts are in
//! `tests/it/snapshots`; `INSTA_UPDATE=always cargo test --test it outputs` writes them anew.

use std::fs;

use serde_json::Value;

use crate::check::migrating;
use crate::process::berth;
use crate::support::{item, items};

/// What a command prints of a cluster, in so many columns.
fn printed(cluster: &Value, columns: &str, is_coloured: bool, line: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, cluster.to_string()).unwrap();
    let mut words = line.split(' ');
    let mut command = berth();
    command.arg(words.next().unwrap());
    command.arg("--snapshot").arg(&path).args(words);
    command.env("COLUMNS", columns);
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(variable);
    }
    if is_coloured {
        command.env("CLICOLOR_FORCE", "1");
    }
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // The escapes of colours, so that a snapshot is a text.
    String::from_utf8(output.stdout)
        .unwrap()
        .replace('\u{1b}', "␛")
}

/// The captured cluster with VMs of every verdict, one of them with a known bug of its own.
fn mixed() -> Value {
    let mut cluster = migrating();
    item(&mut cluster, "Node", "el9-2")["spec"]["unschedulable"] = true.into();
    item(&mut cluster, "Node", "el9-3")["status"]["allocatable"]["memory"] = "1Gi".into();
    let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
    kubevirt["status"]["observedKubeVirtVersion"] = "v1.5.0".into();
    for object in items(&mut cluster) {
        if object["kind"] == "Pod" {
            for container in object["spec"]["containers"].as_array_mut().unwrap() {
                if let Some(image) = container["image"].as_str() {
                    container["image"] = image.replace("v1.15.14", "v1.14.5").into();
                }
            }
        }
    }
    cluster
}

/// Holds what the commands print, one snapshot for each line.
macro_rules! hold {
    ($($test:ident: $columns:literal $coloured:literal $line:literal;)+) => {
        $(#[test]
        fn $test() {
            let text = printed(&mixed(), stringify!($columns), $coloured, $line);
            insta::assert_snapshot!(stringify!($test), text, $line);
        })+
    };
}

hold! {
    check_table_is_as_before: 100 false "check -A";
    check_table_fits_a_narrow_terminal: 60 false "check web db vm-bridge";
    check_table_is_coloured: 100 true "check web db vm-bridge";
    check_wide_has_every_node: 60 false "check web -o wide";
    check_short_has_a_line_for_each_vm: 60 false "check -A -o short";
    check_json_is_as_before: 60 true "check web -o json";
    explain_vm_is_as_before: 100 false "explain vm/web";
    explain_vm_says_what_blocks_a_vm_and_what_would_fit: 60 false "explain vm/vm-bridge";
    explain_vm_is_coloured: 100 true "explain vm/db";
    explain_vm_json_is_as_before: 60 true "explain vm/db -o json";
    drain_shows_the_waves: 100 false "drain el10-1 el9-0";
    drain_fits_a_narrow_terminal: 60 true "drain el9-0 el9-1 el10-2";
    drain_json_is_as_before: 60 true "drain el9-0 -o json";
    report_table_is_as_before: 100 false "report";
    report_table_fits_a_narrow_terminal: 60 false "report";
    report_table_is_coloured: 100 true "report -n default";
    report_shows_what_an_upgrade_changes: 100 false "report --assume el9-*=like:el10-1";
    report_json_is_as_before: 60 true "report --assume el9-*=without:machine-type/pc-q35-rhel9.2* -o json";
    version_shows_what_runs_and_its_bugs: 100 false "version";
    version_fits_a_narrow_terminal_in_colour: 60 true "version";
    version_json_is_as_before: 60 true "version -o json";
}

/// Every command with a text for people.
const TEXTS: [&str; 7] = [
    "check -A",
    "check -A -o short",
    "report",
    "report --assume el9-*=like:el10-1",
    "drain el9-0 el9-1 el10-2",
    "version",
    "explain vm/vm-bridge",
];

#[test]
fn no_line_is_longer_than_the_terminal_where_its_words_are_not() {
    for line in TEXTS {
        let text = printed(&mixed(), "80", false, line);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn columns_that_are_no_number_or_too_few_do_not_break_every_word() {
    for line in ["check -A", "report"] {
        let unset = printed(&mixed(), "", false, line);
        for columns in ["0", "wide", "-1"] {
            assert_eq!(printed(&mixed(), columns, false, line), unset, "{columns}");
        }
        let least = printed(&mixed(), "40", false, line);
        assert_eq!(printed(&mixed(), "3", false, line), least);
    }
}

#[test]
fn a_code_is_broken_for_the_terminal_and_in_json_has_all_that_is_said_of_it() {
    let printed = |columns: &str, args: &[&str]| {
        let mut command = berth();
        command.env("COLUMNS", columns).arg("explain").args(args);
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    };
    for args in [&["machine_type"][..], &["BRT0516"], &[]] {
        let text = printed("60", args);
        let is_long = |line: &&str| line.chars().count() > 60 && !line.starts_with("Source: ");
        assert_eq!(text.lines().find(is_long), None, "{text}");
    }
    let read = |args: &[&str]| -> Value { serde_json::from_str(&printed("60", args)).unwrap() };
    let one = read(&["BRT0501", "-o", "json"]);
    assert_eq!(one["kind"], "CodeExplanation");
    let item = &one["items"][0];
    assert_eq!(item["code"], "BRT0501");
    assert_eq!(item["name"], "MachineTypeIgnored");
    assert_eq!(item["affected"], "KubeVirt before 1.5.1");
    let all = read(&["-o", "json"]);
    assert!(all["items"].as_array().unwrap().contains(item));
    let yaml: Value = serde_saphyr::from_str(&printed("60", &["BRT0501", "-o", "yaml"])).unwrap();
    assert_eq!(yaml, one);
}

#[test]
fn a_vm_stays_on_its_line_where_programs_read_it() {
    let text = printed(&mixed(), "", false, "check -A -o short");
    assert_eq!(text.lines().count(), 13, "{text}");
}

#[test]
fn version_of_a_file_that_names_none_has_code_3_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, r#"{"kind":"List","apiVersion":"v1","items":[]}"#).unwrap();
    let mut command = berth();
    command.args(["version", "--snapshot"]).arg(&path);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "? BRT0902 the snapshot lacks a kind: nodes\n",
        "\nwhat to do\n  BRT0902 NotInSnapshot\n      Write the snapshot with all kinds: ",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn version_alone_is_that_of_berth_and_reads_nothing() {
    let printed = |args: &[&str]| {
        let output = berth().arg("version").args(args).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(printed(&[]), format!("berth {version}\n"));
    let read: Value = serde_json::from_str(&printed(&["-o", "json"])).unwrap();
    let expect = serde_json::json!({
        "apiVersion": "berth.dev/v1alpha1", "kind": "VersionReport", "berth": version,
    });
    assert_eq!(read, expect);
    let yaml: Value = serde_saphyr::from_str(&printed(&["-o", "yaml"])).unwrap();
    assert_eq!(yaml, expect);
    let output = berth()
        .args(["version", "--snapshot", "/none"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: --snapshot /none: "), "{said}");
    assert_eq!(output.status.code(), Some(3));
}
