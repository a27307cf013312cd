//! `berth check --install` and `--pre`, as people run them: on an installation in order, on a cluster without berth, and
//! with each fault that has a code.

mod cases;
mod cluster;
mod manifests;

use std::process::Output;

use serde_json::Value;

use crate::apiserver::{ApiServer, Fault, Verb};
use crate::cli::check_failure;
use crate::process::{Served, berth};

use cluster::Installation;

/// Runs a check of the installation.
fn check(kubeconfig: &str, args: &[&str]) -> Output {
    let mut command = berth();
    command
        .args(["check", "--kubeconfig", kubeconfig])
        .args(args);
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The report that `-o json` prints, and the exit code.
fn report(kubeconfig: &str, args: &[&str]) -> (Value, i32) {
    let output = check(kubeconfig, &[args, &["-o", "json"]].concat());
    let report = serde_json::from_str(&printed(&output)).unwrap();
    (report, output.status.code().unwrap())
}

/// Code and message of everything that is found.
fn found(report: &Value) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    checks
        .map(|check| (text(&check["finding"]["code"]), text(&check["message"])))
        .collect()
}

#[test]
fn an_installation_in_order_is_shown_with_a_line_for_each_check() {
    let installation = Installation::new();
    let output = check(&installation.kubeconfig, &["--install"]);
    let expect = "\
cluster
  √ berth supports the release: Kubernetes 1.36.2
  √ KubeVirt is installed: kubevirt/kubevirt
  √ KubeVirt is deployed: Deployed
  √ berth supports the release: KubeVirt 1.9.0
  √ KubeVirt permits bridge binding on the pod network
  √ the kinds that berth watches are served
  √ the agents of the network provider run: 1 in namespace kube-system
  i BRT0505 KubeVirt does not notice a target on the source node: KubeVirt 1.9.0
      Check `schedulerName` of the VM, the profile of the scheduler and the labels
      `kubernetes.io/hostname`. No release with a fix is known.
      see docs/codes.md#brt0505-targetonsourcenode

installing
  √ the namespace can be used: berth-system
  √ the namespace enforces the pod security level `restricted`: berth-system

replicas
  √ berth is installed: Deployment berth-system/berth
  √ all replicas are ready: 2 of 2
  √ every replica says that it is ready: 2 replicas
  √ all replicas run one image: registry.example.com/berth:0.1.0
  √ this program has the version of the replicas: 0.1.0
  √ a PodDisruptionBudget keeps a replica during drains: berth
  √ the service account of berth has its rights
  √ the Service of berth is there: berth-system/berth at 10.96.0.77

certificates
  √ the Secret with the certificate is there: berth-system/berth-tls
  √ the Secret holds a CA and a certificate of it
  √ the certificate is valid: until END
  √ the certificate is renewed in time
  √ the certificate has the names of the Service
  √ the webhook configurations trust the CA

injection
  √ kube-apiserver is told to inject the annotation: MutatingWebhookConfiguration
  √ a VM with bridge binding gets the annotation: dry run in namespace default
  √ new migrations are reviewed

scheduler
  √ kube-scheduler asks berth: 6 calls of the filter since the replicas started, the last one 5
    minutes ago

28 checks: 27 ok, 1 for information
";
    let text = printed(&output);
    let end = text.split("until ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(text.replace(end, "END"), expect);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_found_is_shown_with_what_to_do_and_its_section() {
    let installation = Installation::new();
    installation.server.silence_webhooks(true);
    let output = check(&installation.kubeconfig, &["--install"]);
    let text = printed(&output);
    let expect = "\
injection
  √ kube-apiserver is told to inject the annotation: MutatingWebhookConfiguration
  × BRT0631 a VM with bridge binding does not get the annotation: dry run in namespace default
      See docs/install.md#troubleshoot. The log of kube-apiserver has `Failed calling webhook,
      failing open` where it does not reach berth.
      see docs/codes.md#brt0631-notinjected
  √ new migrations are reviewed
";
    assert!(text.contains(expect), "{text}");
    assert!(
        text.ends_with("\n28 checks: 26 ok, 1 for information, 1 failed\n"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(2));

    let short = printed(&check(
        &installation.kubeconfig,
        &["--install", "-o", "short"],
    ));
    assert_eq!(short.lines().count(), 28);
    let line = "error      BRT0631  a VM with bridge binding does not get the annotation: dry run in namespace default";
    assert!(short.lines().any(|found| found == line), "{short}");

    let (json, _) = report(&installation.kubeconfig, &["--install"]);
    let yaml = check(&installation.kubeconfig, &["--install", "-o", "yaml"]);
    let yaml: Value = serde_saphyr::from_str(&printed(&yaml)).unwrap();
    assert_eq!(yaml["summary"], json["summary"]);
    let left_out = ["--install", "--suppress", "NotInjected"];
    let (json, code) = report(&installation.kubeconfig, &left_out);
    assert_eq!((json["summary"]["ok"].as_u64(), code), (Some(26), 0));
}

#[test]
fn a_replica_is_asked_for_what_it_really_answers() {
    let installation = Installation::new();
    // One for each: a replica gives one caller no figures twice within a second.
    let served = cluster::PODS.map(|pod| (pod, Served::start(&[])));
    for (pod, served) in &served {
        let admin = Some(served.admin);
        installation.server.forward("berth-system", pod, admin);
    }
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    let found = found(&report);
    for expect in [
        "every replica says that it is ready: 2 replicas",
        "this program has the version of the replicas: 0.1.0",
        "whether kube-scheduler asks berth is not known: no migration lately, not judged",
    ] {
        assert!(found.iter().any(|(_, text)| text == expect), "{found:#?}");
    }
    assert_eq!(code, 0);
}

#[test]
fn a_cluster_without_berth_is_checked_before_it_is_installed() {
    let installation = Installation::without_berth();
    let kubeconfig = &installation.kubeconfig;
    let (before, code) = report(kubeconfig, &["--pre"]);
    let lines: Vec<String> = found(&before).into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        lines[8..],
        [
            "you may create what the manifests contain",
            "the fixed ClusterIP is in the range of Services: 10.96.0.77",
            "the fixed ClusterIP is free: 10.96.0.77",
        ]
    );
    assert_eq!((before["summary"]["ok"].as_u64(), code), (Some(10), 0));
    let is_dry = |request: &crate::apiserver::Request| {
        !request.is(Verb::Create, "services") || request.is_dry_run()
    };
    assert!(installation.server.log().iter().all(is_dry));

    let (after, code) = report(kubeconfig, &["--install"]);
    let last = found(&after).pop().unwrap();
    let text = "berth is not installed: Deployment berth-system/berth";
    assert_eq!(last, ("BRT0613".to_owned(), text.to_owned()));
    assert_eq!(code, 2);
}

#[test]
fn what_may_not_be_read_is_not_guessed() {
    let installation = Installation::new();
    let Installation {
        server, kubeconfig, ..
    } = &installation;
    for (verb, resource) in [
        (Verb::Get, "secrets"),
        (Verb::List, "pods"),
        (Verb::Create, "subjectaccessreviews"),
        (Verb::Create, "virtualmachines"),
        (Verb::Get, "mutatingwebhookconfigurations"),
        (Verb::List, "kubevirts"),
        (Verb::Get, "pods/portforward"),
    ] {
        server.deny(verb, resource);
        let (report, code) = report(kubeconfig, &["--install"]);
        let found = found(&report);
        let unchecked: Vec<&String> = found
            .iter()
            .filter(|(code, _)| code == "BRT0916")
            .map(|(_, text)| text)
            .collect();
        assert!(!unchecked.is_empty(), "{resource}: {found:#?}");
        let says_why = |text: &&String| text.contains("cannot") || text.contains("403");
        assert!(unchecked.iter().all(says_why), "{resource}: {unchecked:#?}");
        assert_eq!(report["summary"]["error"], 0, "{resource}: {found:#?}");
        assert_eq!(code, 3, "{resource}");
        server.allow(verb, resource);
    }
}

#[test]
fn an_api_server_that_does_not_answer_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start();
    let kubeconfig = server.kubeconfig(dir.path());
    server.stop();
    for flag in ["--install", "--pre"] {
        let output = check(kubeconfig.to_str().unwrap(), &[flag]);
        let said = String::from_utf8_lossy(&output.stderr);
        let begin = format!("error: the API server does not answer: {}", server.url());
        assert!(said.starts_with(&begin), "{said}");
        assert_eq!((output.status.code(), said.lines().count()), (Some(3), 1));
    }
}

#[test]
fn an_api_server_that_refuses_to_say_its_version_is_told_from_one_that_is_silent() {
    let installation = Installation::new();
    let Installation {
        server, kubeconfig, ..
    } = &installation;
    for (status, expect) in [
        (
            401,
            "error: can't read the version of the API server: Unauthorized (status 401): the API server does not accept the token or client certificate\n",
        ),
        (
            429,
            "error: can't read the version of the API server: /version answers with status 429 Too Many Requests, and not with a version of Kubernetes\n",
        ),
    ] {
        server.fail(Fault::status(status));
        let output = check(kubeconfig, &["--install"]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), expect);
        assert_eq!(output.status.code(), Some(3));
        server.heal();
    }
}

#[test]
fn without_a_kubeconfig_only_what_the_command_takes_is_advised() {
    let home = tempfile::tempdir().unwrap();
    for (args, reads_files) in [
        (&["check", "--install"][..], false),
        (&["check", "--pre"], false),
        (&["annotate", "--apply"], false),
        (&["annotate"], true),
        (&["check"], true),
    ] {
        let mut command = berth();
        command.args(args).env("HOME", home.path());
        command
            .env_remove("KUBECONFIG")
            .env_remove("KUBERNETES_SERVICE_HOST");
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let advice = "set --kubeconfig FILE or KUBECONFIG";
        let file = ", or --snapshot FILE to read a file that kubectl wrote";
        let end = if reads_files { file } else { "" };
        assert!(said.ends_with(&format!("{advice}{end}\n")), "{said}");
        assert_eq!(output.status.code(), Some(3), "{args:?}");
    }
}

#[test]
fn flags_about_vms_exclude_the_installation() {
    for (args, expect) in [
        (&["--pre", "web"][..], "--pre and VM exclude each other"),
        (
            &["--install", "--snapshot", "x"],
            "--install and --snapshot exclude each other",
        ),
        (
            &["--install", "-A"],
            "--install and --all-namespaces exclude each other",
        ),
        (
            &["--pre", "--node", "a"],
            "--pre and --node exclude each other",
        ),
    ] {
        let expect = format!("error: {expect}; see berth check --help");
        check_failure(&[&["check"], args].concat(), 3, &expect);
    }
}

#[test]
fn the_report_has_the_shape_that_the_schema_describes() {
    let installation = Installation::without_berth();
    let (report, _) = report(&installation.kubeconfig, &["--pre"]);
    assert_eq!(report["apiVersion"], "berth.dev/v1alpha1");
    assert_eq!(report["kind"], "InstallationReport");
    let schema = check("/none", &["--install", "--schema"]);
    let schema: Value = serde_json::from_str(&printed(&schema)).unwrap();
    assert_eq!(schema["title"], "InstallationReport");
    let fields = |value: &Value| {
        let fields = value.as_object().unwrap().keys().cloned();
        fields.collect::<Vec<_>>()
    };
    assert_eq!(fields(&schema["properties"]), fields(&report));
}
