//! `berth scheduler-config --kubeconfig`: what it reads from the cluster, and what it says where that is
//! not there.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::apiserver::{ApiServer, Fault, Verb};
use crate::cli::{check_failure, stdout};
use crate::process::certificate;

/// The manifests' objects as far as they are read: berth's and, with another CA, that on loopback.
struct Installed {
    server: ApiServer,
    dir: tempfile::TempDir,
    kubeconfig: String,
    /// In base64, as objects hold it.
    ca: String,
    loopback_ca: String,
}

fn new_ca() -> String {
    let dir = tempfile::tempdir().unwrap();
    let (ca, ..) = certificate(dir.path());
    // As berth prints it.
    STANDARD.encode(fs::read_to_string(ca).unwrap().replace("\r\n", "\n"))
}

fn secret(namespace: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": namespace, "name": "berth-tls"}, "data": data,
    })
}

fn service(spec: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "berth-system", "name": "berth"}, "spec": spec,
    })
}

fn webhooks(namespace: &str, bundle: &str) -> Value {
    let mut config =
        json!({"service": {"namespace": namespace, "name": "berth", "path": "/mutate"}});
    if !bundle.is_empty() {
        config["caBundle"] = bundle.into();
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "berth"},
        "webhooks": [{
            "name": "vmi.inject.berth.dev", "clientConfig": config,
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
        }],
    })
}

impl Installed {
    fn new() -> Self {
        let server = ApiServer::start();
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = server.kubeconfig(dir.path()).to_str().unwrap().to_owned();
        let [ca, loopback_ca] = [new_ca(), new_ca()];
        server.apply(secret("berth-system", &json!({"ca.crt": ca})));
        server.apply(secret("berth-loopback", &json!({"ca.crt": loopback_ca})));
        server.apply(service(&json!({
            "clusterIP": "10.96.0.77",
            "ports": [{"name": "admin", "port": 8080}, {"name": "https", "port": 443}],
        })));
        server.apply(webhooks("berth-system", &ca));
        Self {
            server,
            dir,
            kubeconfig,
            ca,
            loopback_ca,
        }
    }

    /// URL, server name and CA of the stanza.
    #[track_caller]
    fn printed(&self, flags: &[&str]) -> [String; 3] {
        let flags = [
            &["scheduler-config", "--kubeconfig", &self.kubeconfig],
            flags,
        ]
        .concat();
        let yaml: Value = serde_saphyr::from_str(&stdout(&flags)).unwrap();
        let extender = &yaml["extenders"][0];
        [
            &extender["urlPrefix"],
            &extender["tlsConfig"]["serverName"],
            &extender["tlsConfig"]["caData"],
        ]
        .map(|value| value.as_str().unwrap().to_owned())
    }

    #[track_caller]
    fn refused(&self, flags: &[&str], expect: &str) {
        let flags = [
            &["scheduler-config", "--kubeconfig", &self.kubeconfig],
            flags,
        ]
        .concat();
        check_failure(&flags, 1, &format!("error: {expect}"));
    }

    fn write(&self, name: &str, text: &[u8]) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

const URL: &str = "https://10.96.0.77:443/scheduler";
const NAME: &str = "berth.berth-system.svc";

#[test]
fn the_ca_and_the_address_are_those_of_the_cluster() {
    let installed = Installed::new();
    let Installed {
        ca, loopback_ca, ..
    } = &installed;
    let file = installed.write("ca.crt", &STANDARD.decode(loopback_ca).unwrap());
    for (flags, expect) in [
        (&[][..], [URL, NAME, ca]),
        (&["--full", "--context", "it"], [URL, NAME, ca]),
        (&["--server-name", "other"], [URL, "other", ca]),
        // What a flag says is not looked up.
        (&["--ca", &file], [URL, NAME, loopback_ca]),
        (
            &["--url", "https://a:1"],
            ["https://a:1/scheduler", "a", ca],
        ),
        (
            &[
                "--namespace",
                "berth-loopback",
                "--url",
                "https://127.0.0.1:9443",
            ],
            ["https://127.0.0.1:9443/scheduler", "127.0.0.1", loopback_ca],
        ),
    ] {
        assert_eq!(installed.printed(flags), expect, "{flags:?}");
    }
    let asked = installed.server.log().len();
    installed.printed(&["--ca", &file, "--url", "https://a:1"]);
    assert_eq!(installed.server.log().len(), asked);

    installed.server.apply(service(&json!({
        "clusterIP": "fd00::77", "ports": [{"port": 8443}],
    })));
    let expect = ["https://[fd00::77]:8443/scheduler", NAME, ca];
    assert_eq!(installed.printed(&[]), expect);
}

#[test]
fn the_webhook_configuration_has_the_ca_where_the_secret_can_not_be_read() {
    let installed = Installed::new();
    let Installed { server, ca, .. } = &installed;
    server.apply(webhooks("berth-system", ca));
    server.deny(Verb::Get, "secrets");
    assert_eq!(installed.printed(&[]), [URL, NAME, ca]);
    server.allow(Verb::Get, "secrets");
    for data in [json!({}), json!({"ca.crt": ""})] {
        server.apply(secret("berth-system", &data));
        assert_eq!(installed.printed(&[]), [URL, NAME, ca]);
    }
    server.delete("secrets", Some("berth-system"), "berth-tls");
    assert_eq!(installed.printed(&[]), [URL, NAME, ca]);
}

#[test]
fn what_the_cluster_does_not_have_is_named_with_the_flag_that_says_it() {
    let advice = "start berth first, or set --namespace or --ca";
    let installed = Installed::new();
    let server = &installed.server;
    server.delete("secrets", Some("berth-system"), "berth-tls");
    server.apply(webhooks("berth-system", ""));
    installed.refused(
        &[],
        &format!("berth's CA is not found: there is no secret berth-system/berth-tls, and webhook configuration berth has no caBundle for a service in berth-system; {advice}"),
    );
    // Its CA is another's.
    server.delete("secrets", Some("berth-loopback"), "berth-tls");
    server.apply(webhooks("berth-system", &installed.ca));
    installed.refused(
        &["--namespace", "berth-loopback"],
        &format!("berth's CA is not found: there is no secret berth-loopback/berth-tls, and webhook configuration berth has no caBundle for a service in berth-loopback; {advice}"),
    );
    server.delete("mutatingwebhookconfigurations", None, "berth");
    server.apply(secret("berth-system", &json!({})));
    installed.refused(
        &[],
        &format!("berth's CA is not found: secret berth-system/berth-tls has no ca.crt, and there is no webhook configuration berth; {advice}"),
    );
    server.apply(secret(
        "berth-system",
        &json!({"ca.crt": STANDARD.encode("hello")}),
    ));
    installed.refused(
        &[],
        "secret berth-system/berth-tls: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
    );

    let installed = Installed::new();
    let server = &installed.server;
    let advice = "set --url to where kube-scheduler reaches berth";
    for (spec, expect) in [
        (
            json!({"clusterIP": "None", "ports": [{"port": 443}]}),
            "has no ClusterIP",
        ),
        (json!({"clusterIP": "10.0.0.1", "ports": []}), "has no port"),
    ] {
        server.apply(service(&spec));
        installed.refused(
            &[],
            &format!("service berth-system/berth {expect}; {advice}"),
        );
    }
    server.delete("services", Some("berth-system"), "berth");
    installed.refused(
        &[],
        &format!("there is no service berth-system/berth; {advice}"),
    );
    server.fail(Fault::status(500).resource("secrets"));
    let flags = ["scheduler-config", "--kubeconfig", &installed.kubeconfig];
    let output = crate::process::berth().args(flags).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: secret berth-system/berth-tls: ")
            && said.ends_with("; or set --ca\n"),
        "{said}"
    );
    installed.refused(
        &["--context", "other"],
        &format!(
            "--kubeconfig {}: there is no context \"other\"; there are it",
            installed.kubeconfig
        ),
    );
}
