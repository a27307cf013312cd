//! Every requirement, with a cluster that does not meet it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use berth::decide::requirements::Requirement;
use berth::tls::HostName;
use serde_json::{Value, json};

use super::cluster::{
    DAY, Installation, deployment, issued, kubevirt, names, namespace, replica, service, target,
};
use super::{found, report};
use crate::apiserver::{Fault, Verb};

type Case = (Requirement, fn(&Installation), &'static str);

/// Before berth is installed.
const BEFORE: &[Case] = &[
    (
        Requirement::MayNotInstall,
        |c| {
            c.server.deny(Verb::Create, "clusterroles");
            c.server.deny(Verb::Create, "deployments");
        },
        "you may not create what the manifests contain: create deployments.apps, create clusterroles.rbac.authorization.k8s.io",
    ),
    (
        Requirement::NamespaceTerminating,
        |c| {
            let mut own = namespace("berth-system");
            own["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            own["metadata"]["finalizers"] = json!(["example.com/keep"]);
            c.server.apply(own);
        },
        "the namespace is being deleted: berth-system",
    ),
    (
        Requirement::PodSecurity,
        |c| c.server.apply(namespace("berth-system")),
        "the namespace does not enforce the pod security level `restricted`: berth-system has no label pod-security.kubernetes.io/enforce",
    ),
    (
        Requirement::ClusterIpTaken,
        |c| c.server.apply(service("default", "other")),
        "another Service has the fixed ClusterIP: default/other has 10.96.0.77",
    ),
];

/// Of an installation.
const INSTALLED: &[Case] = &[
    (
        Requirement::ReleaseTooOld,
        |c| c.server.set_release("v1.29.15"),
        "a release is older than berth supports: Kubernetes 1.29.15; berth knows 1.30 to 1.36",
    ),
    (
        Requirement::ReleaseNotKnown,
        |c| c.server.set_release("v1.37.0-alpha.1"),
        "a release is newer than those that berth knows: Kubernetes 1.37.0; berth knows 1.30 to 1.36",
    ),
    (
        Requirement::KubeVirtNotFound,
        |c| c.server.delete("kubevirts", Some("kubevirt"), "kubevirt"),
        "KubeVirt is not installed: there is no KubeVirt CR",
    ),
    (
        Requirement::KubeVirtNotFound,
        |c| {
            for kind in [
                "virtualmachines",
                "virtualmachineinstances",
                "virtualmachineinstancemigrations",
                "virtualmachineinstancereplicasets",
                "kubevirts",
            ] {
                c.server.uninstall(kind);
            }
        },
        "KubeVirt is not installed: the API server does not serve kubevirt.io/v1",
    ),
    (
        Requirement::KubeVirtNotDeployed,
        |c| {
            c.server
                .apply(changed(kubevirt(), "/status/phase", json!("Deploying")));
        },
        "KubeVirt is not deployed: Deploying",
    ),
    (
        Requirement::BridgeNotPermitted,
        |c| {
            let network = json!({"permitBridgeInterfaceOnPodNetwork": false});
            let mut kubevirt = kubevirt();
            kubevirt["spec"]["configuration"]["network"] = network;
            c.server.apply(kubevirt);
        },
        "KubeVirt does not permit bridge binding on the pod network",
    ),
    (
        Requirement::KindNotServed,
        |c| c.server.uninstall("virtualmachineinstancemigrations"),
        "a kind that berth watches is not served: virtualmachineinstancemigrations",
    ),
    (
        Requirement::AgentsNotFound,
        |c| c.server.delete("pods", Some("kube-system"), "ovs-ovn-x"),
        "no agent of the network provider was found: namespace kube-system",
    ),
    (
        Requirement::NotInstalled,
        |c| {
            c.server
                .delete("deployments", Some("berth-system"), "berth");
        },
        "berth is not installed: Deployment berth-system/berth",
    ),
    (
        Requirement::NoReplicaReady,
        |c| {
            c.server
                .apply(changed(deployment(), "/status/readyReplicas", json!(0)));
        },
        "no replica is ready: 0 of 2",
    ),
    (
        Requirement::ReplicaMissing,
        |c| {
            c.server
                .apply(changed(deployment(), "/status/readyReplicas", json!(1)));
        },
        "not all replicas are ready: 1 of 2",
    ),
    (
        Requirement::ReplicaNotReady,
        |c| {
            let waiting = "not ready: the cluster view is not complete yet (waiting for vmi)\n";
            c.admin.answers.lock().unwrap().readyz = (503, waiting);
        },
        "a replica is not ready: berth-system/berth-b: the cluster view is not complete yet (waiting for vmi)",
    ),
    (
        Requirement::ReplicaNotReady,
        |c| {
            let waiting =
                json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
            let pod = changed(
                replica("berth-b"),
                "/status/containerStatuses/0/state",
                waiting,
            );
            c.server
                .apply(changed(pod, "/status/phase", json!("Pending")));
        },
        "a replica is not ready: berth-system/berth-b: ImagePullBackOff: no such image",
    ),
    (
        Requirement::ReplicaNotReady,
        |c| {
            let condition = json!([{
                "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available",
            }]);
            let pod = changed(replica("berth-b"), "/status/conditions", condition);
            c.server.apply(pod);
        },
        "a replica is not ready: berth-system/berth-b: not scheduled: 0/3 nodes are available",
    ),
    (
        Requirement::ImagesDiffer,
        |c| {
            let image = json!("registry.example.com/berth:0.0.9");
            c.server.apply(changed(
                replica("berth-b"),
                "/spec/containers/0/image",
                image,
            ));
        },
        "replicas run different images: registry.example.com/berth:0.0.9, registry.example.com/berth:0.1.0",
    ),
    (
        Requirement::VersionDiffers,
        |c| c.admin.answers.lock().unwrap().version = "0.0.9",
        "this program has another version than the replicas: 0.1.0, they have 0.0.9",
    ),
    (
        Requirement::NoDisruptionBudget,
        |c| {
            c.server
                .delete("poddisruptionbudgets", Some("berth-system"), "berth");
        },
        "no PodDisruptionBudget keeps a replica during drains",
    ),
    (
        Requirement::RightMissing,
        |c| {
            c.server
                .deny_accounts(Verb::Watch, "virtualmachineinstances");
            c.server.deny_accounts(Verb::Patch, "nodes/status");
        },
        "the service account of berth lacks rights: watch virtualmachineinstances.kubevirt.io, patch nodes/status",
    ),
    (
        Requirement::ServiceNotFound,
        |c| c.server.delete("services", Some("berth-system"), "berth"),
        "the Service of berth is missing: berth-system/berth",
    ),
    (
        Requirement::SecretNotFound,
        |c| {
            c.server
                .delete("secrets", Some("berth-system"), "berth-tls");
        },
        "the Secret with the certificate is missing: berth-system/berth-tls",
    ),
    (
        Requirement::SecretDamaged,
        |c| secret(c, |secret| secret["data"]["tls.crt"] = json!("aGVsbG8=")),
        "the Secret does not hold a CA and a certificate of it: berth-system/berth-tls: tls.crt can't be read",
    ),
    (
        Requirement::SecretDamaged,
        |c| secret(c, |secret| secret["data"] = json!({})),
        "the Secret does not hold a CA and a certificate of it: berth-system/berth-tls is empty: berth has not filled it",
    ),
    (
        Requirement::SecretDamaged,
        |c| secret(c, |secret| secret["metadata"]["labels"] = json!({})),
        "the Secret does not hold a CA and a certificate of it: berth-system/berth-tls: it has no label app.kubernetes.io/managed-by: berth",
    ),
    (
        Requirement::CertificateExpired,
        |c| c.certify(&issued(SystemTime::now() - 31 * DAY, &names())),
        "the certificate is not valid now: the certificate ended ",
    ),
    (
        Requirement::CertificateOverdue,
        |c| c.certify(&issued(SystemTime::now() - 22 * DAY, &names())),
        "the certificate was not renewed in time: a replica should have: issued a leaf (renewal)",
    ),
    (
        Requirement::CertificateNames,
        |c| {
            let other = HostName::of_service("other", "berth-system").unwrap();
            c.certify(&issued(SystemTime::now() - Duration::from_mins(5), &other));
        },
        "the certificate lacks names of the Service: berth.berth-system.svc",
    ),
    (
        Requirement::CaBundleDiffers,
        |c| {
            let stored = c.server.get("secrets", Some("berth-system"), "berth-tls");
            c.certify(&issued(
                SystemTime::now() - Duration::from_mins(5),
                &names(),
            ));
            c.server.apply(stored.unwrap());
        },
        "a webhook configuration does not trust the CA: mutatingwebhookconfiguration berth lacks the CA with serial number ",
    ),
    (
        Requirement::WebhookNotFound,
        |c| {
            c.server
                .delete("mutatingwebhookconfigurations", None, "berth");
        },
        "nothing injects the annotation",
    ),
    (
        Requirement::PolicyNotBound,
        |c| c.server.apply(policy()),
        "the admission policy is not bound",
    ),
    (
        Requirement::PolicyParamNotFound,
        |c| {
            c.server.apply(policy());
            c.server.apply(binding("elsewhere"));
        },
        "the admission policy does not find the KubeVirt CR: namespace elsewhere",
    ),
    (
        Requirement::NotInjected,
        |c| c.server.silence_webhooks(true),
        "a VM with bridge binding does not get the annotation: dry run in namespace default",
    ),
    (
        Requirement::MigrationsNotReviewed,
        |c| {
            c.server
                .delete("validatingwebhookconfigurations", None, "berth");
        },
        "new migrations are not reviewed",
    ),
    (
        Requirement::SchedulerNotAsking,
        |c| {
            c.admin.answers.lock().unwrap().filter_calls = 0;
            c.server
                .apply(target(Duration::from_secs(725), "default-scheduler"));
        },
        "kube-scheduler does not ask berth: default-scheduler bound default/virt-launcher-web-x2x4z 12 minutes ago, and no replica has counted a call",
    ),
    // Of calls for other pods, longer ago.
    (
        Requirement::SchedulerNotAsking,
        |c| {
            c.admin.answers.lock().unwrap().last_call = Some(Duration::from_secs(1205));
            c.server
                .apply(target(Duration::from_secs(725), "default-scheduler"));
        },
        "kube-scheduler does not ask berth: default-scheduler bound default/virt-launcher-web-x2x4z 12 minutes ago, and the last call of the filter was 20 minutes ago",
    ),
    (
        Requirement::NoMigrationLately,
        |c| c.admin.answers.lock().unwrap().last_call = Some(3 * DAY + Duration::from_secs(5)),
        "whether kube-scheduler asks berth is not known: no migration lately, not judged; the last call of the filter was 3 days ago",
    ),
    (
        Requirement::NoMigrationLately,
        |c| c.admin.answers.lock().unwrap().filter_calls = 0,
        "whether kube-scheduler asks berth is not known: no migration lately, not judged",
    ),
    // Bound before the replicas ran, too long ago, or by a scheduler that is not to ask.
    (
        Requirement::NoMigrationLately,
        |c| {
            let mut answers = c.admin.answers.lock().unwrap();
            answers.filter_calls = 0;
            answers.age = Duration::from_mins(5);
            c.server
                .apply(target(Duration::from_mins(4), "default-scheduler"));
        },
        "whether kube-scheduler asks berth is not known: no migration lately, not judged",
    ),
    (
        Requirement::NoMigrationLately,
        |c| {
            c.admin.answers.lock().unwrap().filter_calls = 0;
            c.server
                .apply(target(Duration::from_hours(2), "default-scheduler"));
        },
        "whether kube-scheduler asks berth is not known: no migration lately, not judged",
    ),
    (
        Requirement::NoMigrationLately,
        |c| {
            c.admin.answers.lock().unwrap().filter_calls = 0;
            c.server.apply(target(Duration::from_mins(10), "mine"));
        },
        "whether kube-scheduler asks berth is not known: no migration lately, not judged",
    ),
];

fn changed(mut object: Value, pointer: &str, value: Value) -> Value {
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

fn secret(cluster: &Installation, change: fn(&mut Value)) {
    let stored = cluster
        .server
        .get("secrets", Some("berth-system"), "berth-tls");
    let mut secret = stored.unwrap();
    change(&mut secret);
    cluster.server.apply(secret);
}

fn policy() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": "berth"}, "spec": {},
    })
}

fn binding(namespace: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "berth"},
        "spec": {
            "policyName": "berth",
            "paramRef": {"namespace": namespace, "selector": {}, "parameterNotFoundAction": "Deny"},
        },
    })
}

/// What is wrong with these cases: a code without its message.
fn wrong(cases: &[Case], flag: &str, cluster: fn() -> Installation) -> Vec<String> {
    let mut wrong = Vec::new();
    for (requirement, change, message) in cases {
        let installation = cluster();
        change(&installation);
        let (report, code) = report(&installation.kubeconfig, &[flag]);
        let id = requirement.row().code;
        let found = found(&report);
        let is_this = |(code, text): &&(String, String)| code == id && text.starts_with(message);
        let severity: &str = requirement.row().severity.into();
        let expect = match severity {
            "error" => 2,
            "warning" => 1,
            _ => 0,
        };
        if !found.iter().any(|one| is_this(&one)) || code < expect {
            wrong.push(format!("{requirement:?}, exit code {code}: {found:#?}"));
        }
    }
    wrong
}

#[test]
fn every_requirement_has_a_cluster_that_does_not_meet_it() {
    let mut wrong = wrong(BEFORE, "--pre", Installation::without_berth);
    wrong.extend(self::wrong(INSTALLED, "--install", Installation::new));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tried: BTreeSet<Requirement> = BEFORE
        .iter()
        .chain(INSTALLED)
        .map(|(requirement, ..)| *requirement)
        .collect();
    let missing: Vec<Requirement> = Requirement::ALL
        .into_iter()
        .filter(|requirement| !tried.contains(requirement))
        .collect();
    // The address is a flag.
    assert_eq!(missing, [Requirement::ClusterIpOutOfRange]);
}

#[test]
fn an_address_that_services_can_not_have_is_told_from_one_that_is_taken() {
    let installation = Installation::new();
    for (address, code, message) in [
        (
            "10.43.0.77",
            "BRT0611",
            "the fixed ClusterIP is not in the range of Services: failed to allocate IP 10.43.0.77: the provided IP (10.43.0.77) is not in the valid range. The range of valid IPs is 10.96.0.0/12",
        ),
        ("10.96.0.78", "-", "the fixed ClusterIP is free: 10.96.0.78"),
        (
            "10.96.0.77",
            "-",
            "the fixed ClusterIP is free: 10.96.0.77, which berth-system/berth has already",
        ),
    ] {
        let (report, _) = report(
            &installation.kubeconfig,
            &["--pre", "--cluster-ip", address],
        );
        let expect = (code.to_owned(), message.to_owned());
        let found = found(&report);
        assert!(found.contains(&expect), "{found:#?}");
    }
}

#[test]
fn the_admission_policy_takes_the_place_of_the_mutating_webhook() {
    let installation = Installation::new();
    let server = &installation.server;
    server.delete("mutatingwebhookconfigurations", None, "berth");
    server.apply(policy());
    server.apply(binding("kubevirt"));
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    let found = found(&report);
    for text in [
        "kube-apiserver is told to inject the annotation: MutatingAdmissionPolicy",
        "the admission policy is bound",
        "the admission policy finds the KubeVirt CR: namespace kubevirt",
        "a VM with bridge binding gets the annotation: dry run in namespace default",
        "new migrations are reviewed",
    ] {
        let expect = ("-".to_owned(), text.to_owned());
        assert!(found.contains(&expect), "{text}: {found:#?}");
    }
    assert_eq!(code, 0);
}

#[test]
fn a_call_for_the_last_migration_shows_that_kube_scheduler_asks() {
    for (last_call, expect) in [
        (
            Some(Duration::from_secs(725 + 60)),
            ", the last one 13 minutes ago",
        ),
        // A replica before the metric.
        (
            None,
            "; when the last one was is not known, because a replica has no berth_extender_last_call_timestamp_seconds",
        ),
    ] {
        let installation = Installation::new();
        installation.admin.answers.lock().unwrap().last_call = last_call;
        let pod = target(Duration::from_secs(725), "default-scheduler");
        installation.server.apply(pod);
        let (report, code) = report(&installation.kubeconfig, &["--install"]);
        let last = found(&report).pop().unwrap();
        let text = format!(
            "kube-scheduler asks berth: 6 calls of the filter since the replicas started{expect}"
        );
        assert_eq!((last, code), (("-".to_owned(), text), 0));
    }
}

#[test]
fn where_bridge_binding_is_forbidden_the_dry_run_that_kubevirt_refuses_is_no_line() {
    let installation = Installation::new();
    let server = &installation.server;
    let mut forbids = kubevirt();
    forbids["spec"]["configuration"]["network"] =
        json!({"permitBridgeInterfaceOnPodNetwork": false});
    server.apply(forbids);
    server.fail(
        Fault::denied_by_webhook(422)
            .resource("virtualmachines")
            .verb(Verb::Create),
    );
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    let codes: Vec<String> = found(&report).into_iter().map(|(code, _)| code).collect();
    assert!(codes.contains(&"BRT0605".to_owned()), "{codes:?}");
    assert!(!codes.contains(&"BRT0916".to_owned()), "{codes:?}");
    assert_eq!(code, 1);
}

#[test]
fn namespaces_that_can_not_be_listed_are_named_where_the_dry_run_needs_one() {
    let installation = Installation::new();
    installation.server.deny(Verb::List, "namespaces");
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    let found = found(&report);
    let expect = "not checked whether a VM with bridge binding gets the annotation: the namespaces for a dry run can't be listed: namespaces is forbidden: ";
    assert!(
        found
            .iter()
            .any(|(code, text)| code == "BRT0916" && text.starts_with(expect)),
        "{found:#?}"
    );
    assert_eq!(code, 3);
}

#[test]
fn a_secret_of_cert_manager_is_read_as_what_it_is() {
    let installation = Installation::new();
    secret(&installation, |secret| {
        secret["type"] = json!("kubernetes.io/tls");
        secret["metadata"]["annotations"] =
            json!({"cert-manager.io/certificate-name": "berth-tls"});
        let data = secret["data"].as_object_mut().unwrap();
        data.retain(|key, _| ["ca.crt", "tls.crt", "tls.key"].contains(&key.as_str()));
    });
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    assert_eq!((report["summary"]["ok"].as_u64(), code), (Some(27), 0));
}

#[test]
fn a_pod_that_is_not_reached_is_not_judged() {
    let installation = Installation::new();
    installation.server.forward("berth-system", "berth-b", None);
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    let expect = "not checked whether every replica says that it is ready: berth-system/berth-b was not reached: error forwarding port 8080 to pod berth-b, uid : failed to connect to localhost:8080 inside namespace: connection refused";
    let found = found(&report);
    assert!(
        found.contains(&("BRT0916".to_owned(), expect.to_owned())),
        "{found:#?}"
    );
    assert_eq!(code, 3);
}

#[test]
fn a_namespace_that_opts_out_is_not_tried() {
    let installation = Installation::new();
    let mut default = namespace("default");
    default["metadata"]["labels"] = json!({"berth.dev/inject": "disabled"});
    installation.server.apply(default);
    let (report, code) = report(&installation.kubeconfig, &["--install"]);
    let expect = "a VM with bridge binding gets the annotation: dry run in namespace berth-system";
    let found = found(&report);
    assert!(
        found.contains(&("-".to_owned(), expect.to_owned())),
        "{found:#?}"
    );
    assert_eq!(code, 0);
}

#[test]
fn the_second_scheduler_is_the_one_that_is_to_ask() {
    let installation = Installation::new();
    let mut second = deployment();
    second["metadata"]["name"] = "berth-scheduler".into();
    installation.server.apply(second);
    installation.admin.answers.lock().unwrap().filter_calls = 0;
    for (scheduler, code) in [
        ("default-scheduler", "BRT0634"),
        ("berth-scheduler", "BRT0633"),
    ] {
        let pod = target(Duration::from_mins(10), scheduler);
        installation.server.apply(pod);
        let (report, _) = report(&installation.kubeconfig, &["--install"]);
        let last = found(&report).pop().unwrap();
        assert_eq!(last.0, code, "{scheduler}");
    }
}
