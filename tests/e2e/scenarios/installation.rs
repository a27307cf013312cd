//! `berth check --pre` and `--install` at a real kube-apiserver. There are no kubelets, so that no pod can be asked: what
//! depends on that is not checked, and everything else is.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::injection::serve;
use crate::manifests::{self, NAMESPACE, document};
use crate::programs::repository;
use crate::world::World;

/// What the check of an installation or of its place comes to: the code and the text of each line, and the exit code.
fn check(world: &World, args: &[&str]) -> (Vec<(String, String)>, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command.args(["check", "-o", "json", "--kubeconfig"]);
    command.arg(&world.plane.admin).args(args);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let lines = checks.map(|check| (text(&check["finding"]["code"]), text(&check["message"])));
    (lines.collect(), output.status.code().unwrap())
}

#[track_caller]
fn has(lines: &[(String, String)], code: &str, text: &str) {
    let is_it = |(own, said): &&(String, String)| own == code && said.starts_with(text);
    assert!(
        lines.iter().any(|line| is_it(&line)),
        "{code} {text}: {lines:#?}"
    );
}

pub(crate) fn what_berth_needs_is_told_by_a_real_api_server(world: &mut World) {
    // The range of the plane is 10.0.0.0/24.
    let (lines, code) = check(world, &["--pre"]);
    has(&lines, "-", "berth supports the release: Kubernetes 1.");
    has(&lines, "-", "the kinds that berth watches are served");
    has(&lines, "-", "you may create what the manifests contain");
    has(
        &lines,
        "BRT0611",
        "the fixed ClusterIP is not in the range of Services: failed to allocate IP 10.96.0.77",
    );
    has(&lines, "BRT0604", "KubeVirt is not deployed: no phase yet");
    // The agents of the made fleet are there, and the version of KubeVirt is not.
    assert_eq!(code, 3);
    let (lines, _) = check(world, &["--pre", "--cluster-ip", "10.0.0.77"]);
    has(&lines, "-", "the fixed ClusterIP is free: 10.0.0.77");
    let (lines, _) = check(world, &["--pre", "--cluster-ip", "10.0.0.1"]);
    has(
        &lines,
        "BRT0612",
        "another Service has the fixed ClusterIP: default/kubernetes has 10.0.0.1",
    );
}

pub(crate) fn an_installation_is_checked_but_for_what_a_kubelet_answers(world: &mut World) {
    let (_berth, _service) = serve(world);
    // The manifests have made the Deployment, and no controller makes its pods.
    let text = fs::read_to_string(repository("manifests/base/server/deployment.yaml")).unwrap();
    let template = document(&text)["spec"]["template"].clone();
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": template["metadata"], "spec": template["spec"],
    });
    pod["metadata"]["name"] = "berth-x2x4z".into();
    pod["spec"]["nodeName"] = "el9-0".into();
    // Nothing makes it here.
    pod["spec"]
        .as_object_mut()
        .unwrap()
        .remove("priorityClassName");
    world.api.post(&pods, &pod);
    let status = json!({"status": {"phase": "Running", "podIP": "127.0.0.1"}});
    world
        .api
        .merge(&format!("{pods}/berth-x2x4z/status"), &status);

    let (lines, code) = check(world, &["--install"]);
    world.api.delete(&format!("{pods}/berth-x2x4z"));
    has(
        &lines,
        "-",
        &format!(
            "berth is installed: Deployment {}/berth",
            manifests::NAMESPACE
        ),
    );
    has(&lines, "BRT0614", "no replica is ready: 0 of 2");
    has(&lines, "-", "all replicas run one image: berth:0.1.0");
    has(
        &lines,
        "-",
        "a PodDisruptionBudget keeps a replica during drains: berth",
    );
    has(&lines, "-", "the service account of berth has its rights");
    has(
        &lines,
        "-",
        "the Service of berth is there: berth-system/berth at 10.0.0.",
    );
    // This berth serves with files.
    has(
        &lines,
        "BRT0623",
        "the Secret does not hold a CA and a certificate of it",
    );
    has(
        &lines,
        "-",
        "a VM with bridge binding gets the annotation: dry run in namespace default",
    );
    has(&lines, "BRT0632", "new migrations are not reviewed");
    // What nobody answers for is not guessed.
    let unchecked: Vec<&String> = lines
        .iter()
        .filter(|(code, _)| code == "BRT0916")
        .map(|(_, text)| text)
        .collect();
    for (text, begin) in unchecked.iter().zip([
        "not checked whether berth supports the release: the KubeVirt CR has no status",
        "not checked whether every replica says that it is ready: berth-system/berth-x2x4z was not reached",
        "not checked whether kube-scheduler asks berth: berth-system/berth-x2x4z was not reached",
    ]) {
        assert!(text.starts_with(begin), "{unchecked:#?}");
    }
    assert_eq!((unchecked.len(), code), (3, 3), "{unchecked:#?}");
}
