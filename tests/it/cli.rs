//! The command line: what it prints, and what it refuses in one line.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::process::{berth, certificate, snapshot};

fn run(args: &[&str]) -> Output {
    berth().args(args).output().unwrap()
}

/// Runs it and checks that it fails with one line on standard error and nothing on standard output.
#[track_caller]
fn check_failure(args: &[&str], code: i32, expect: &str) {
    let output = run(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), stderr.trim_end()),
        (Some(code), expect),
        "{args:?}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
}

#[track_caller]
fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_wrong_flag_or_value_is_named_in_one_line() {
    check_failure(
        &["serve", "--snapshto", "x"],
        2,
        "error: unexpected argument '--snapshto' found (see berth --help)",
    );
    check_failure(
        &["serve", "--listen", "here"],
        2,
        "error: invalid value 'here' for '--listen <ADDR>': invalid socket address syntax (see berth --help)",
    );
    check_failure(
        &["scheduler-config"],
        2,
        "error: the following required arguments were not provided: --ca <FILE> (see berth --help)",
    );
    check_failure(
        &["moor"],
        2,
        "error: unrecognized subcommand 'moor' (see berth --help)",
    );
    check_failure(
        &["scheduler-config", "--ca", "/none"],
        1,
        "error: --ca /none: No such file or directory (os error 2)",
    );
}

#[test]
fn what_serve_needs_and_lacks_is_named_by_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let (_, cert, key) = certificate(dir.path());
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let cluster = snapshot();
    let cluster = cluster.to_str().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };

    check_failure(
        &["serve"],
        1,
        "error: no cluster to decide on: set --kubeconfig FILE or --snapshot FILE, or run in a pod of the cluster",
    );
    check_failure(
        &["serve", "--snapshot", "/none"],
        1,
        "error: --snapshot /none: No such file or directory (os error 2)",
    );
    let junk = write("junk.json", "{\"kind\": \"List\"");
    check_failure(
        &["serve", "--snapshot", &junk],
        1,
        &format!(
            "error: --snapshot {junk}: not JSON: EOF while parsing an object at line 1 column 15"
        ),
    );
    check_failure(
        &["serve", "--config", "/none"],
        1,
        "error: config /none: No such file or directory (os error 2)",
    );
    let config = write("berth.yaml", "guard: {launches: perhaps}");
    check_failure(
        &["serve", "--config", &config],
        1,
        &format!(
            "error: config {config}: guard.launches: invalid type: string \"perhaps\", expected a boolean"
        ),
    );
    check_failure(
        &["serve", "--snapshot", cluster, "--log-level", "infoo"],
        2,
        "error: invalid value 'infoo' for '--log-level <LEVEL>': \"infoo\" is no level: off, error, warn, info, debug or trace (see berth --help)",
    );
    let lines = write("lines.yaml", "\"a\\nb\": 1");
    check_failure(
        &["serve", "--config", &lines],
        1,
        &format!(
            "error: config {lines}: a b: unknown field `a b`, expected one of `apiVersion`, `kind`, `listen`, `adminListen`, `tls`, `log`, `network`, `guard`, `machineType`, `agents`, `southbound`, `nodeCondition`, `lease`, `scoring`, `limits`, `shutdown`"
        ),
    );
    check_failure(
        &[
            "serve",
            "--snapshot",
            cluster,
            "--network-provider",
            "ovn-kubernetes",
            "--ovn-sb",
            "tcp:127.0.0.1:6642",
        ],
        1,
        "error: southbound.endpoints, --ovn-sb: tcp:127.0.0.1:6642 is no place to ask with network.provider OVNKubernetes, where each node has databases of its own; leave it out",
    );
    check_failure(
        &["serve", "--network-provider", "calico"],
        2,
        "error: invalid value 'calico' for '--network-provider <PROVIDER>' [possible values: kube-ovn, ovn-kubernetes] (see berth --help)",
    );
    check_failure(
        &["serve", "--snapshot", cluster],
        1,
        "error: no certificate to serve with: set --tls-cert FILE and --tls-key FILE, or --tls-secret NAME for one that berth makes",
    );
    check_failure(
        &["serve", "--snapshot", cluster, "--tls-cert", cert],
        1,
        "error: --tls-cert and --tls-key go together: --tls-key is missing",
    );
    check_failure(
        &["serve", "--snapshot", cluster, "--tls-key", key],
        1,
        "error: --tls-cert and --tls-key go together: --tls-cert is missing",
    );
}

#[test]
fn an_address_in_use_and_a_key_of_another_certificate_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_, cert, key) = certificate(dir.path());
    let other = tempfile::tempdir().unwrap();
    let (_, _, other_key) = certificate(other.path());
    let serve = |key: &Path, addresses: &[&str]| {
        let cluster = snapshot();
        let mut args = vec![
            "serve",
            "--snapshot",
            cluster.to_str().unwrap(),
            "--tls-cert",
            cert.to_str().unwrap(),
            "--tls-key",
            key.to_str().unwrap(),
        ];
        args.extend(addresses);
        let output = run(&args);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other_flag) in [
        ("--listen", "--admin-listen"),
        ("--admin-listen", "--listen"),
    ] {
        assert_eq!(
            serve(&key, &[flag, &address, other_flag, "127.0.0.1:0"]),
            format!("error: {flag} {address}: Address already in use (os error 98)\n")
        );
    }

    // Before the port is bound: the address in use is not what is complained of.
    let said = serve(&other_key, &["--listen", &address]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("error: ") && said.contains(other_key.to_str().unwrap()),
        "{said}"
    );
}

#[test]
fn the_configuration_is_printed_checked_and_described() {
    let default = stdout(&["config", "default"]);
    assert!(default.contains("kind: BerthConfiguration"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("berth.yaml");
    fs::write(&path, &default).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(
        stdout(&["config", "check", path]),
        format!("{path}: good\n")
    );

    fs::write(path, "machineType: {whenUnlabelled: Never}").unwrap();
    check_failure(
        &["config", "check", path],
        1,
        &format!(
            "error: config {path}: machineType.whenUnlabelled: unknown variant `Never`, expected one of `Auto`, `Exclude`, `Allow`"
        ),
    );

    let schema: serde_json::Value = serde_json::from_str(&stdout(&["config", "schema"])).unwrap();
    assert_eq!(schema["title"], "BerthConfiguration");
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn help_says_what_each_command_and_flag_is_for() {
    let help = stdout(&["--help"]);
    for command in ["serve", "demo", "config", "scheduler-config"] {
        assert!(help.contains(command), "{help}");
    }
    let help = stdout(&["serve", "--help"]);
    for flag in [
        "config",
        "snapshot",
        "listen",
        "admin-listen",
        "network-provider",
        "ovn-sb",
        "tls-cert",
        "tls-key",
        "client-ca",
        "log-format",
        "log-level",
    ] {
        let variable = format!("BERTH_{}", flag.to_uppercase().replace('-', "_"));
        assert!(
            help.contains(&format!("--{flag} ")) && help.contains(&variable),
            "{flag}: {help}"
        );
    }
}

#[test]
fn the_manifest_for_kube_scheduler_is_what_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, ..) = certificate(dir.path());
    let printed = stdout(&["scheduler-config", "--ca", ca.to_str().unwrap()]);
    let printed: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
    let manifest = include_str!("../../manifests/kube-scheduler-configuration.yaml");
    let manifest: serde_json::Value = serde_saphyr::from_str(manifest).unwrap();
    assert_eq!(manifest["apiVersion"], "kubescheduler.config.k8s.io/v1");
    assert_eq!(manifest["kind"], "KubeSchedulerConfiguration");
    let mut expected = printed["extenders"][0].clone();
    let mut shown = manifest["extenders"][0].clone();
    for extender in [&mut expected, &mut shown] {
        // The one thing that differs from cluster to cluster.
        assert!(extender["tlsConfig"]["caData"].take().is_string());
    }
    assert_eq!(shown, expected);
}

#[test]
fn the_readme_has_every_field_of_the_configuration_and_every_route() {
    let readme = include_str!("../../README.md");
    let default: serde_json::Value = serde_saphyr::from_str(berth::config::DEFAULT).unwrap();
    for (section, fields) in default.as_object().unwrap() {
        if ["apiVersion", "kind"].contains(&section.as_str()) {
            continue;
        }
        let fields = fields.as_object().into_iter().flatten();
        for (field, _) in fields {
            let alone = format!("`{section}.{field}");
            let after_another = format!("`.{field}`");
            assert!(
                readme.contains(&alone) || readme.contains(&after_another),
                "{section}.{field}"
            );
        }
        assert!(readme.contains(&format!("| `{section}")), "{section}");
    }
    for route in ["/mutate", "/scheduler/filter", "/scheduler/preempt"] {
        assert!(readme.contains(&format!("`{route}`")), "{route}");
    }
}
