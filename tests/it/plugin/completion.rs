//! Completion: the scripts that shells read, and what kubectl is told.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Linked, printed};
use crate::apiserver::{ApiServer, Fault, Verb};
use crate::process::snapshot;
use crate::tools;

/// What `kubectl_complete-berth` answers to the words.
fn answer(linked: &Linked, words: &[&str]) -> String {
    let mut command = linked.command("kubectl_complete-berth");
    // Or it would ask the cluster of the person who runs the tests.
    command.env("KUBECONFIG", "/none").env("HOME", "/none");
    command.args(words).current_dir(linked.path());
    printed(&mut command)
}

/// The same without descriptions.
fn words(linked: &Linked, words: &[&str]) -> Vec<String> {
    let answer = answer(linked, words);
    let word = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    answer.lines().map(word).collect()
}

#[test]
fn every_shell_parses_its_script() {
    let dir = tempfile::tempdir().unwrap();
    let linked = Linked::new();
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let test = format!("the completion script as {shell} reads it");
        let Some(program) = tools::find(shell, &test) else {
            continue;
        };
        for file in ["berth", "kubectl-berth"] {
            let script = printed(linked.command(file).args(["completion", shell]));
            assert!(script.contains(file), "{script}");
            // The hidden command for the man pages.
            assert!(!script.contains("man pages"), "{script}");
            assert!(!script.contains("__man)"), "{script}");
            let path = dir.path().join(file);
            fs::write(&path, script).unwrap();
            assert_eq!(printed(Command::new(&program).arg(flag).arg(&path)), "");
        }
    }
}

#[test]
fn bash_completes_commands_flags_and_formats_by_the_script() {
    let Some(bash) = tools::find("bash", "completion in bash") else {
        return;
    };
    let linked = Linked::new();
    let script = linked.path().join("script");
    let text = printed(linked.command("berth").args(["completion", "bash"]));
    fs::write(&script, text).unwrap();
    for (line, expect) in [
        ("berth ch", "check"),
        ("berth check --sn", "--snapshot"),
        ("berth check -o sh", "short"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let run = format!(
            "source '{}'; COMP_WORDS=({line}); COMP_CWORD={}; _berth berth '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
            script.display(),
            words.len() - 1,
        );
        let shown = printed(Command::new(&bash).args(["--norc", "-c", &run]));
        assert_eq!(shown.trim_end(), expect, "{line}");
    }
}

#[test]
fn commands_flags_and_values_are_completed_without_a_cluster() {
    let linked = Linked::new();
    fs::create_dir(linked.path().join("dumps")).unwrap();
    for (line, expect) in [
        (&["ch"][..], &["check", ":4"][..]),
        (&["moor"], &[":4"]),
        // The plugin hides `serve`.
        (&["s"], &["scheduler-config", ":4"]),
        (
            &["config", ""],
            &["default", "check", "schema", "help", ":4"],
        ),
        (&["check", "--al"], &["--all-namespaces", ":4"]),
        (
            &["check", "--s"],
            &["--snapshot", "--suppress", "--schema", ":4"],
        ),
        (
            &["check", "-o", ""],
            &["table", "wide", "short", "json", "yaml", ":4"],
        ),
        (&["check", "-oj"], &["-ojson", ":4"]),
        (&["check", "--output=y"], &["--output=yaml", ":4"]),
        (&["drain", "--fail-on", "w"], &["warning", ":4"]),
        (&["explain", "BRT0109"], &["BRT0109", ":4"]),
        (&["explain", "brt0109"], &["BRT0109", ":4"]),
        (&["check", "--suppress", "BRT0109"], &["BRT0109", ":4"]),
        (&["drain", "--suppress", "BRT0109"], &["BRT0109", ":4"]),
        (&["completion", "z"], &["zsh", ":4"]),
        // A directory goes on, and so no space follows it.
        (&["check", "--snapshot", "du"], &["dumps/", ":6"]),
        (&["check", "--snapshot", "dumps/"], &[":4"]),
        // Without a cluster there are no names, and files are none.
        (&["check", ""], &[":4"]),
        (&["check", "-n", ""], &[":4"]),
        (&["check", "--context", ""], &[":4"]),
        (&["drain", ""], &[":4"]),
    ] {
        assert_eq!(words(&linked, line), expect, "{line:?}");
    }
    assert_eq!(
        answer(&linked, &["explain", "BRT0102"]),
        "BRT0102\tMachineType: machine type TYPE not supported\n:4\n"
    );
    assert_eq!(
        answer(&linked, &["comp"]),
        "completion\tPrint a script with which a shell completes the words of a command\n:4\n"
    );
}

#[test]
fn names_are_completed_from_a_snapshot() {
    let linked = Linked::new();
    let snapshot = snapshot();
    let from = ["--snapshot", snapshot.to_str().unwrap()];
    for (before, after, expect) in [
        (&["check"][..], &["d"][..], &["db", ":4"][..]),
        (&["check"], &["db", "we"], &["web", ":4"]),
        (&["check"], &["vmi/l"], &["vmi/legacy", ":4"]),
        (&["check"], &["pod/l"], &[":4"]),
        (&["explain"], &["vm/l"], &["vm/legacy", ":4"]),
        (&["explain"], &["BRT0109"], &["BRT0109", ":4"]),
        (&["check", "-n", "kubevirt"], &[""], &[":4"]),
        (
            &["check"],
            &["-n", "kube-"],
            &["kube-node-lease", "kube-public", "kube-system", ":4"],
        ),
        (&["check"], &["--node", "el9-n"], &["el9-nochassis", ":4"]),
        (
            &["drain"],
            &["el10-"],
            &["el10-0", "el10-1", "el10-2", ":4"],
        ),
    ] {
        let line = [before, &from, after].concat();
        assert_eq!(words(&linked, &line), expect, "{before:?} {after:?}");
    }
}

#[test]
fn a_name_with_control_characters_is_not_offered() {
    let linked = Linked::new();
    let path = linked.path().join("cluster.json");
    let node = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    let cluster = json!({
        "apiVersion": "v1", "kind": "List", "items": [node("a\n:0"), node("a\u{1b}[31m"), node("ab")],
    });
    fs::write(&path, cluster.to_string()).unwrap();
    let line = ["drain", "--snapshot", path.to_str().unwrap(), "a"];
    assert_eq!(words(&linked, &line), ["ab", ":4"]);
}

/// An API server with names to complete, and a kubeconfig with two contexts.
fn cluster(dir: &Path) -> (ApiServer, String) {
    let server = ApiServer::start();
    let of = |api: &str, kind: &str, namespace: &str, name: &str| {
        json!({
            "apiVersion": api, "kind": kind,
            "metadata": {"namespace": namespace, "name": name},
        })
    };
    for node in ["n1", "n2"] {
        server.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}));
    }
    server.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}}));
    let kubevirt = "kubevirt.io/v1";
    server.apply(of(kubevirt, "VirtualMachine", "default", "web"));
    server.apply(of(kubevirt, "VirtualMachineInstance", "default", "web"));
    server.apply(of(kubevirt, "VirtualMachineInstance", "default", "alone"));
    server.apply(of(kubevirt, "VirtualMachine", "prod", "shop"));
    let path = server.kubeconfig(dir);
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let context = json!({"cluster": "stand-in", "user": "berth", "namespace": "prod"});
    let contexts = config["contexts"].as_array_mut().unwrap();
    contexts.push(json!({"name": "prod", "context": context}));
    fs::write(&path, config.to_string()).unwrap();
    (server, path.to_str().unwrap().to_owned())
}

#[test]
fn names_are_completed_from_the_cluster_of_the_kubeconfig() {
    let linked = Linked::new();
    let (server, kubeconfig) = cluster(linked.path());
    let from = ["--kubeconfig", kubeconfig.as_str()];
    for (command, after, expect) in [
        ("check", &[""][..], &["alone", "web", ":4"][..]),
        ("check", &["w"], &["web", ":4"]),
        ("check", &["-n", "prod", ""], &["shop", ":4"]),
        ("check", &["--context", "prod", ""], &["shop", ":4"]),
        ("check", &["-A", ""], &["alone", "shop", "web", ":4"]),
        ("check", &["-n", "p"], &["prod", ":4"]),
        ("check", &["--namespace=p"], &["--namespace=prod", ":4"]),
        ("check", &["--context", ""], &["it", "prod", ":4"]),
        ("check", &["--context", "none", ""], &[":4"]),
        ("drain", &["n1", ""], &["n1", "n2", ":4"]),
    ] {
        let line = [&[command], &from[..], after].concat();
        assert_eq!(words(&linked, &line), expect, "{line:?}");
    }
    // What is not allowed has no names, and leaves the others.
    server.fail(
        Fault::status(403)
            .verb(Verb::List)
            .resource("virtualmachines"),
    );
    let line = ["check", "--kubeconfig", &kubeconfig, "-A", ""];
    assert_eq!(words(&linked, &line), ["alone", "web", ":4"]);
    drop(server);
    let line = ["drain", "--kubeconfig", &kubeconfig, ""];
    assert_eq!(words(&linked, &line), [":4"]);
}

#[test]
fn kubectl_runs_the_plugin_and_completes_its_words() {
    let Some(kubectl) = tools::find("kubectl", "berth as a plugin of a real kubectl") else {
        return;
    };
    let linked = Linked::new();
    let (_server, kubeconfig) = cluster(linked.path());
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [linked.path().to_owned()]
        .into_iter()
        .chain(env::split_paths(&path));
    let path = env::join_paths(path).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&kubectl);
        command.env("PATH", &path).env("KUBECONFIG", &kubeconfig);
        printed(command.args(args))
    };
    let plugins = run(&["plugin", "list"]);
    assert!(plugins.contains("/kubectl-berth\n"), "{plugins}");
    let text = run(&["berth", "explain", "BRT0102"]);
    assert!(text.starts_with("BRT0102 MachineType (error)\n"), "{text}");
    for (line, expect) in [
        (&["berth", "check", ""][..], "alone\nweb\n:4\n"),
        (&["berth", "check", "-n", "prod", ""], "shop\n:4\n"),
        (&["berth", "check", "-n", "p"], "prod\n:4\n"),
        (&["berth", "check", "--context", ""], "it\nprod\n:4\n"),
        (&["berth", "drain", "n2"], "n2\n:4\n"),
        (
            &["berth", "check", "-o", "w"],
            "wide\tAs `table`, with every node\n:4\n",
        ),
    ] {
        assert_eq!(run(&[&["__complete"], line].concat()), expect, "{line:?}");
    }
    assert_eq!(run(&["__completeNoDesc", "berth", "ex"]), "explain\n:4\n");
}
