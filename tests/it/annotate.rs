//! `berth annotate` on a snapshot and on an API server: which objects lack the annotation, and what
//! becomes of them.

use std::convert::Infallible;
use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth::annotate::apply::{Outcome, Patcher};
use berth::annotate::objects::{Survey, from_api, from_file};
use berth::decide::inject::ALLOW_ANNOTATION;
use berth::decide::retrofit::Step;
use berth::domain::Network;
use serde_json::{Value, json};

use crate::apiserver::{ApiServer, Fault, Request, Verb};
use crate::live::client;
use crate::process::berth;
use crate::support::{cluster, items};

/// The captured cluster, whose launcher pods have addresses of Kube-OVN.
fn on_kube_ovn() -> Value {
    let mut cluster = cluster();
    for object in items(&mut cluster) {
        if object["metadata"]["labels"]["kubevirt.io"] == "virt-launcher" {
            object["metadata"]["annotations"]["ovn.kubernetes.io/virtualmachine"] =
                object["metadata"]["labels"]["vm.kubevirt.io/name"].clone();
        }
    }
    cluster
}

fn serve(cluster: &mut Value) -> ApiServer {
    let server = ApiServer::start();
    for object in items(cluster) {
        server.apply(object.clone());
    }
    server
}

/// Runs the command on an API server.
fn annotate(server: &ApiServer, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let mut command = berth();
    command.args(["annotate", "--kubeconfig"]).arg(kubeconfig);
    command.args(args).env("COLUMNS", "1000").output().unwrap()
}

/// Runs the command on a file.
fn annotate_file(cluster: &Value, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, cluster.to_string()).unwrap();
    let mut command = berth();
    command.args(["annotate", "--snapshot"]).arg(path);
    command.args(args).env("COLUMNS", "1000").output().unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, expect: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expect);
    assert_eq!(output.status.code(), Some(code));
}

/// The result of each object in what `-o json` prints, as `KIND NAME RESULT`.
fn results(output: &Output) -> Vec<String> {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = report["items"].as_array().unwrap().iter();
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    items
        .map(|item| {
            ["kind", "name", "result"]
                .map(|field| text(item, field))
                .join(" ")
        })
        .collect()
}

fn patches(request: &Request) -> bool {
    request.verb == Verb::Patch
}

fn annotation(server: &ApiServer, resource: &str, name: &str) -> Value {
    let object = server.get(resource, Some("default"), name).unwrap();
    let template = match resource {
        "virtualmachines" => &object["spec"]["template"],
        _ => &object,
    };
    template["metadata"]["annotations"][ALLOW_ANNOTATION].clone()
}

#[test]
fn objects_of_a_file_that_lack_the_annotation_are_listed() {
    check(
        &annotate_file(&on_kube_ovn(), &["-A"]),
        1,
        "\
vm/default/db                       lacks it  has an effect after the next restart of the VM
vmi/default/db                      lacks it  has an effect at once, without a restart
vm/default/legacy                   lacks it  has an effect after the next restart of the VM
vmi/default/legacy                  lacks it  has an effect at once, without a restart
vm/default/vm-annotation-misplaced  lacks it  has an effect when the VM starts
vm/default/vm-bridge                lacks it  has an effect when the VM starts
vm/default/vm-no-interfaces         lacks it  has an effect when the VM starts
vm/default/vm-template-annotations  lacks it  has an effect when the VM starts
vm/default/web                      lacks it  has an effect after the next restart of the VM
vmi/default/web                     lacks it  has an effect at once, without a restart
10 objects lack the annotation: 10 can be patched; no cluster was asked
",
    );
}

/// A file without the objects of one kind.
fn without(kind: &str) -> Value {
    let mut cluster = on_kube_ovn();
    items(&mut cluster).retain(|object| object["kind"] != kind);
    cluster
}

#[test]
fn what_a_file_lacks_is_said_and_nothing_is_claimed_of_it() {
    let by_vms = "\
vm/default/db                       lacks it  has an effect after the next restart of the VM
vm/default/legacy                   lacks it  has an effect after the next restart of the VM
vm/default/vm-annotation-misplaced  lacks it  has an effect when the VM starts
vm/default/vm-bridge                lacks it  has an effect when the VM starts
vm/default/vm-no-interfaces         lacks it  has an effect when the VM starts
vm/default/vm-template-annotations  lacks it  has an effect when the VM starts
vm/default/web                      lacks it  has an effect after the next restart of the VM
  ? BRT0902 the snapshot lacks a kind: virtualmachineinstances
7 objects lack the annotation: 7 can be patched; no cluster was asked
";
    let by_vmis = "\
vmi/default/db      lacks it  has an effect at once, without a restart
vmi/default/legacy  lacks it  has an effect at once, without a restart
vmi/default/web     lacks it  has an effect at once, without a restart
  ? BRT0902 the snapshot lacks a kind: virtualmachines
3 objects lack the annotation: 3 can be patched; no cluster was asked
";
    check(
        &annotate_file(&without("VirtualMachineInstance"), &[]),
        3,
        by_vms,
    );
    check(&annotate_file(&without("VirtualMachine"), &[]), 3, by_vmis);

    let mut none = without("VirtualMachine");
    items(&mut none).retain(|object| object["kind"] != "VirtualMachineInstance");
    check(
        &annotate_file(&none, &["-A"]),
        3,
        "  ? BRT0902 the snapshot lacks a kind: virtualmachines
  ? BRT0902 the snapshot lacks a kind: virtualmachineinstances
0 objects lack the annotation; no cluster was asked
",
    );
    let said = annotate_file(&none, &["vm/web"]);
    let expect =
        "error: whether there is a VM vm/web is not known: the file has no virtualmachines\n";
    assert_eq!(String::from_utf8_lossy(&said.stderr), expect);
    assert_eq!(said.status.code(), Some(3));

    // A cluster whose VMs are all stopped has none that run.
    let mut stopped = without("VirtualMachineInstance");
    for object in items(&mut stopped) {
        if object["kind"] == "VirtualMachine" {
            object["status"]["printableStatus"] = json!("Stopped");
        }
    }
    let output = annotate_file(&stopped, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("BRT"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_vmi_is_not_judged_without_its_launcher_pod() {
    let line = "vmi/default/web  not judged  BRT0904 the launcher pod was not found, which says whether the network follows the VM: read the pods as well, or run the command again once the VM runs\n";
    let sum = "1 object lacks the annotation: 1 not judged; no cluster was asked\n";
    let lack = "  ? BRT0902 the snapshot lacks a kind: pods\n";
    let output = annotate_file(&without("Pod"), &["vmi/web"]);
    check(&output, 3, &format!("{line}{lack}{sum}"));

    let mut cluster = on_kube_ovn();
    items(&mut cluster)
        .retain(|object| object["metadata"]["labels"]["vm.kubevirt.io/name"] != "web");
    let output = annotate_file(&cluster, &["vmi/web"]);
    check(&output, 3, &format!("{line}{sum}"));
    // With OVN-Kubernetes no pod is asked.
    let args = ["vmi/web", "--network-provider", "ovn-kubernetes"];
    assert_eq!(annotate_file(&cluster, &args).status.code(), Some(0));
}

#[test]
fn an_interface_by_default_is_not_judged_without_the_kubevirt_cr() {
    let output = annotate_file(&without("KubeVirt"), &["vm-no-interfaces", "vm-bridge"]);
    check(
        &output,
        3,
        "\
vm/default/vm-bridge         lacks it    has an effect when the VM starts
vm/default/vm-no-interfaces  not judged  its interface is KubeVirt's default one, which is in the KubeVirt CR, and that was not read
  ? BRT0902 the snapshot lacks a kind: kubevirts
2 objects lack the annotation: 1 can be patched, 1 not judged; no cluster was asked
",
    );
    // The others are judged all the same.
    let output = annotate_file(&without("KubeVirt"), &["vm-bridge"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_namespace_that_does_not_exist_is_an_error() {
    let server = serve(&mut on_kube_ovn());
    for output in [
        annotate_file(&on_kube_ovn(), &["-n", "nosuch"]),
        annotate(&server, &["-n", "nosuch"]),
    ] {
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "error: there is no namespace \"nosuch\"\n"
        );
        assert_eq!(output.status.code(), Some(3));
    }
    // Without namespaces in the file this is not known.
    check(
        &annotate_file(&without("Namespace"), &["-n", "nosuch"]),
        0,
        "  ? BRT0902 the snapshot lacks a kind: namespaces
0 objects lack the annotation; no cluster was asked
",
    );
}

#[test]
fn an_object_whose_namespace_was_not_read_is_not_judged() {
    let output = annotate_file(&without("Namespace"), &["web"]);
    check(
        &output,
        3,
        "\
vm/default/web   not judged  its namespace was not read, which may opt out: read the namespaces as well
vmi/default/web  not judged  its namespace was not read, which may opt out: read the namespaces as well
  ? BRT0902 the snapshot lacks a kind: namespaces
2 objects lack the annotation: 2 not judged; no cluster was asked
",
    );
    let output = annotate_file(&without("Namespace"), &["-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["isPartial"], true);
    assert_eq!(report["summary"]["patchable"], 0);
    // So is one whose namespace is damaged, and one whose namespace alone is not in the file.
    let mut damaged = on_kube_ovn();
    let namespace = crate::support::item(&mut damaged, "Namespace", "default");
    namespace["metadata"]["labels"] = json!(7);
    let mut absent = on_kube_ovn();
    items(&mut absent)
        .retain(|object| object["kind"] != "Namespace" || object["metadata"]["name"] != "default");
    for cluster in [damaged, absent] {
        let output = annotate_file(&cluster, &["-A", "web", "-o", "json"]);
        let expect = [
            "VirtualMachine web notJudged",
            "VirtualMachineInstance web notJudged",
        ];
        assert_eq!(results(&output), expect);
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn what_is_wrong_with_a_damaged_object_is_said_without_the_names_of_rust() {
    let mut cluster = on_kube_ovn();
    crate::support::item(&mut cluster, "VirtualMachineInstance", "web")["spec"] = json!("x");
    let output = annotate_file(&cluster, &["vm/web"]);
    check(
        &output,
        3,
        "\
vm/default/web  lacks it  has an effect after the next restart of the VM
  ? BRT0903 an object could not be read: VirtualMachineInstance default/web: spec is the string \"x\", not an object
1 object lacks the annotation: 1 can be patched; no cluster was asked
",
    );
}

#[test]
fn long_texts_are_broken_for_the_width() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, without("Pod").to_string()).unwrap();
    let mut command = berth();
    command.args(["annotate", "vmi/web", "--snapshot"]);
    command.arg(&path).env("COLUMNS", "60");
    check(
        &command.output().unwrap(),
        3,
        "\
vmi/default/web  not judged  BRT0904 the launcher pod was
                             not found, which says whether
                             the network follows the VM:
                             read the pods as well, or run
                             the command again once the VM
                             runs
  ? BRT0902 the snapshot lacks a kind: pods
1 object lacks the annotation: 1 not judged; no cluster was
asked
",
    );
}

#[test]
fn a_vm_that_runs_is_left_where_its_network_may_not_follow_it() {
    for (cluster, args, why) in [
        (
            cluster(),
            &["vmi/db"][..],
            "the launcher pod is not annotated ovn.kubernetes.io/virtualmachine",
        ),
        (
            on_kube_ovn(),
            &["vmi/db", "--network-provider", "ovn-kubernetes"],
            "OVN-Kubernetes set up the launcher pod without the annotation, and the VM would lose its network",
        ),
    ] {
        let output = annotate_file(&cluster, args);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.starts_with(&format!("vmi/default/db  left  {why}")),
            "{text}"
        );
        assert!(
            text.ends_with("\n1 object lacks the annotation: 1 left; no cluster was asked\n"),
            "{text}"
        );
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn objects_and_namespaces_that_opt_out_and_pools_are_left_as_they_are() {
    let mut cluster = on_kube_ovn();
    let template =
        crate::support::item(&mut cluster, "VirtualMachine", "vm-bridge")["spec"]["template"]
            .clone();
    for object in items(&mut cluster) {
        if object["metadata"]["name"] == "vm-bridge" {
            object["metadata"]["labels"]["berth.dev/inject"] = json!("disabled");
        }
    }
    let metadata = json!({"name": "made", "namespace": "default"});
    items(&mut cluster).extend([
        json!({
            "apiVersion": "pool.kubevirt.io/v1beta1", "kind": "VirtualMachinePool",
            "metadata": metadata, "spec": {"virtualMachineTemplate": {"spec": {"template": template}}},
        }),
        json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceReplicaSet",
            "metadata": metadata, "spec": {"template": template},
        }),
    ]);
    let server = serve(&mut cluster);
    let left = [
        "VirtualMachine vm-bridge left",
        "VirtualMachineInstanceReplicaSet made left",
        "VirtualMachinePool made left",
    ];
    let output = annotate(&server, &["--apply", "-o", "json"]);
    let results = results(&output);
    assert_eq!(results.len(), 12);
    assert!(
        left.iter()
            .all(|expect| results.iter().any(|result| result == expect)),
        "{results:?}"
    );
    assert_eq!(output.status.code(), Some(0));

    let mut cluster = on_kube_ovn();
    crate::support::item(&mut cluster, "Namespace", "default")["metadata"]["annotations"] =
        json!({"berth.dev/inject": "disabled"});
    let output = annotate(&serve(&mut cluster), &["web"]);
    check(
        &output,
        0,
        "\
vm/default/web   left  it, its template or its namespace opts out (berth.dev/inject: disabled), and KubeVirt does not migrate it: remove that if it may migrate
vmi/default/web  left  it, its template or its namespace opts out (berth.dev/inject: disabled), and KubeVirt does not migrate it: remove that if it may migrate
2 objects lack the annotation: 2 left
",
    );
}

#[test]
fn without_apply_the_api_server_is_asked_and_nothing_changes() {
    let server = serve(&mut on_kube_ovn());
    check(
        &annotate(&server, &["web"]),
        1,
        "\
vm/default/web   can patch  has an effect after the next restart of the VM
vmi/default/web  can patch  has an effect at once, without a restart
2 objects lack the annotation: 2 can be patched; nothing was changed, --apply patches
",
    );
    let asked: Vec<Request> = server.log().into_iter().filter(patches).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| request.query["dryRun"] == "All"));
    assert_eq!(annotation(&server, "virtualmachines", "web"), Value::Null);
    let output = annotate(&server, &["web", "--fail-on", "error"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn with_apply_the_annotation_is_added_and_nothing_else_changes() {
    let server = serve(&mut on_kube_ovn());
    let name = "vm-template-annotations";
    let before = server
        .get("virtualmachines", Some("default"), name)
        .unwrap();
    let output = annotate(&server, &["--apply"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with("\n10 objects lack the annotation: 10 patched\n"),
        "{text}"
    );
    let mut after = server
        .get("virtualmachines", Some("default"), name)
        .unwrap();
    let annotations = &mut after["spec"]["template"]["metadata"]["annotations"];
    let added = annotations
        .as_object_mut()
        .unwrap()
        .remove(ALLOW_ANNOTATION);
    assert_eq!(added, Some(json!("true")));
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(
        annotation(&server, "virtualmachineinstances", "web"),
        "true"
    );
    check(
        &annotate(&server, &["--apply"]),
        0,
        "0 objects lack the annotation\n",
    );
}

#[test]
fn an_object_that_is_refused_is_named_with_the_reason_and_the_others_are_patched() {
    let server = serve(&mut on_kube_ovn());
    server.fail(
        Fault::denied_by_webhook(400)
            .resource("virtualmachines")
            .verb(Verb::Patch),
    );
    let output = annotate(&server, &["--apply", "db"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("vm/default/db   refused  admission webhook \""),
        "{text}"
    );
    assert!(lines[0].contains("denied the request: "), "{text}");
    assert_eq!(
        lines[1..],
        [
            "vmi/default/db  patched  has an effect at once, without a restart",
            "2 objects lack the annotation: 1 patched, 1 refused",
        ]
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_object_whose_patch_took_too_long_is_not_called_refused() {
    let server = serve(&mut on_kube_ovn());
    server.fail(Fault::status(504).verb(Verb::Patch));
    let why = "Timeout: request did not complete within the allotted timeout";
    for (args, what) in [
        (
            &["--apply", "vm/web"][..],
            "the annotation may have been added or not",
        ),
        (&["vm/web"], "nothing was changed"),
    ] {
        let line = format!("vm/default/web  unknown  {what}, run the command again: {why}\n");
        let sum = "1 object lacks the annotation: 1 unknown\n";
        check(&annotate(&server, args), 3, &format!("{line}{sum}"));
    }
}

#[test]
fn what_has_to_be_known_and_can_not_be_read_is_an_error() {
    let failure = |server: &ApiServer, args: &[&str]| {
        let output = annotate(server, args);
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let server = serve(&mut on_kube_ovn());
    for (args, expect) in [
        (
            &["nope"][..],
            "error: there is no VM nope; -n NAMESPACE selects another namespace, -A all of them\n",
        ),
        (
            &["pod/web"],
            "error: \"pod/web\" is not a VM: write NAME, vm/NAME or vmi/NAME\n",
        ),
    ] {
        assert_eq!(failure(&server, args), expect);
    }
    server.deny(Verb::List, "namespaces");
    let said = failure(&server, &["-A"]);
    assert!(said.starts_with("error: can't list namespaces: "), "{said}");
    // The right to read one is enough for one.
    assert_eq!(annotate(&server, &["-n", "default"]).status.code(), Some(1));
    server.deny(Verb::List, "virtualmachines");
    let said = failure(&server, &["-n", "default"]);
    assert!(
        said.starts_with("error: can't list virtualmachines: "),
        "{said}"
    );
    server.deny(Verb::Get, "namespaces");
    let said = failure(&server, &["-n", "default"]);
    assert!(
        said.starts_with("error: can't read namespace default: "),
        "{said}"
    );
}

#[test]
fn what_else_can_not_be_read_is_said() {
    let server = serve(&mut on_kube_ovn());
    for resource in ["kubevirts", "pods", "virtualmachinepools"] {
        server.deny(Verb::List, resource);
    }
    let output = annotate(&server, &["-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let starts = |starts: &[&str]| {
        let found = report["findings"].as_array().unwrap();
        assert_eq!(found.len(), starts.len(), "{found:?}");
        for (found, start) in found.iter().zip(starts) {
            assert_eq!(found["code"], "BRT0901");
            let text = found["message"].as_str().unwrap();
            assert!(text.starts_with(start), "{text}");
        }
    };
    starts(&[
        "a kind could not be listed: kubevirts: ",
        "a kind could not be listed: virtualmachinepools: ",
        "a kind could not be listed: pods: ",
    ]);
    // The three VMIs, and the VM with the default interface.
    assert_eq!(report["summary"]["notJudged"], 4);
    assert_eq!(report["summary"]["left"], 0);
    let items = report["items"].as_array().unwrap();
    let default = items.iter().find(|item| item["name"] == "vm-no-interfaces");
    assert_eq!(
        default.unwrap()["message"],
        "its interface is KubeVirt's default one, which is in the KubeVirt CR, and that was not read"
    );
    assert_eq!(output.status.code(), Some(3));
}

/// What is there, before others change it.
async fn survey(server: &ApiServer) -> Survey {
    let client = client(server).await;
    from_api(&client, &Network::default(), None).await.unwrap()
}

async fn patch(server: &ApiServer, survey: &Survey, name: &str) -> Vec<Outcome> {
    let chosen = survey.lacking.iter();
    let chosen = chosen.filter(|lacks| lacks.name == name && matches!(lacks.step, Step::Patch(_)));
    let client = client(server).await;
    let patcher = Patcher {
        client: &client,
        rules: &survey.rules,
        is_dry_run: false,
    };
    patcher.patch_all(&chosen.collect::<Vec<_>>(), || ()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_others_change_is_judged_and_patched_again() {
    let server = serve(&mut on_kube_ovn());
    let survey = survey(&server).await;
    let change = |name: &str, change: fn(&mut Value)| {
        let mut vm = server
            .get("virtualmachines", Some("default"), name)
            .unwrap();
        change(&mut vm);
        server.apply(vm);
    };
    change("vm-bridge", |vm| {
        vm["spec"]["template"]["metadata"]["annotations"] = json!({"other": "kept"});
    });
    assert_eq!(patch(&server, &survey, "vm-bridge").await, [Outcome::Done]);
    let vm = server
        .get("virtualmachines", Some("default"), "vm-bridge")
        .unwrap();
    assert_eq!(
        vm["spec"]["template"]["metadata"]["annotations"],
        json!({"other": "kept", ALLOW_ANNOTATION: "true"})
    );

    change("vm-no-interfaces", |vm| {
        vm["metadata"]["annotations"]["berth.dev/inject"] = json!("disabled");
    });
    server.delete(
        "virtualmachines",
        Some("default"),
        "vm-annotation-misplaced",
    );
    for name in ["vm-no-interfaces", "vm-annotation-misplaced"] {
        assert_eq!(patch(&server, &survey, name).await, [Outcome::NotNeeded]);
    }
    assert_eq!(
        annotation(&server, "virtualmachines", "vm-no-interfaces"),
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_never_rests_is_given_up() {
    let server = serve(&mut on_kube_ovn());
    let survey = survey(&server).await;
    server.fail(Fault::status(409).verb(Verb::Patch));
    let outcomes = patch(&server, &survey, "vm-bridge").await;
    assert!(
        matches!(outcomes[..], [Outcome::Refused(_)]),
        "{outcomes:?}"
    );
    assert_eq!(server.count(patches), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_api_server_is_lost_no_more_objects_are_tried() {
    let mut server = serve(&mut on_kube_ovn());
    let survey = survey(&server).await;
    let client = client(&server).await;
    server.stop();
    let patcher = Patcher {
        client: &client,
        rules: &survey.rules,
        is_dry_run: true,
    };
    let all: Vec<_> = survey.lacking.iter().collect();
    let outcomes = patcher.patch_all(&all, || ()).await;
    // A connection may break after the request was sent.
    assert!(
        matches!(outcomes[0], Outcome::Unanswered(_)),
        "{outcomes:?}"
    );
    assert_eq!(outcomes.len(), 10);
    assert_eq!(outcomes[9], Outcome::NotAsked);
}

/// A survey of a file with this many VMs.
fn survey_of(vms: usize) -> Survey {
    let mut cluster = on_kube_ovn();
    let vm = crate::support::item(&mut cluster, "VirtualMachine", "vm-bridge").clone();
    let vms = (0..vms).map(|number| {
        let mut vm = vm.clone();
        vm["metadata"]["name"] = json!(format!("vm-{number:02}"));
        vm
    });
    let list = json!({"kind": "List", "apiVersion": "v1", "items": vms.collect::<Vec<_>>()});
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, list.to_string()).unwrap();
    from_file(&path, &Network::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn after_some_requests_in_a_row_without_an_answer_no_more_objects_are_tried() {
    let survey = survey_of(20);
    let all: Vec<_> = survey.lacking.iter().collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let silent = tower::service_fn(move |_: axum::http::Request<kube::client::Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<axum::http::Response<kube::client::Body>, Infallible>>()
    });
    let client = kube::Client::new(silent, "default");
    let patcher = Patcher {
        client: &client,
        rules: &survey.rules,
        is_dry_run: false,
    };
    let outcomes = patcher.patch_all(&all, || ()).await;
    let asked = asked.load(Ordering::Relaxed);
    // Four at a time: at most three more are sent before the fourth is late.
    assert!((4..8).contains(&asked), "{asked}");
    let late = Outcome::Unanswered("no answer within 30 s".to_owned());
    assert!(outcomes[..asked].iter().all(|outcome| *outcome == late));
    let rest = &outcomes[asked..];
    assert!(rest.iter().all(|outcome| *outcome == Outcome::NotAsked));
    assert_eq!(outcomes.len(), 20);
}
