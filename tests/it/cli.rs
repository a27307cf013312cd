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
pub(crate) fn check_failure(args: &[&str], code: i32, expect: &str) {
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
pub(crate) fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

const ADDRESS: &str = "is not an address to listen on: use IP:PORT, such as 127.0.0.1:8443 or [::]:8443, localhost:PORT, or :PORT for every IPv4 address of the host";

#[test]
fn a_usage_error_names_what_is_wrong_and_the_help_of_its_command_in_one_line() {
    for (args, expect) in [
        (
            &["serve", "--snapshto", "x"][..],
            "unknown flag \"--snapshto\" (did you mean --snapshot?); see berth serve --help",
        ),
        (
            &["serve", "--frobnicate"],
            "unknown flag \"--frobnicate\"; see berth serve --help",
        ),
        (
            &["serve", "now"],
            "unknown argument \"now\"; see berth serve --help",
        ),
        (
            &["serve", "--listen", "here"],
            &format!("--listen: \"here\" {ADDRESS}; see berth serve --help"),
        ),
        (
            &["serve", "--admin-listen=127.0.0.1:99999"],
            &format!("--admin-listen: \"127.0.0.1:99999\" {ADDRESS}; see berth serve --help"),
        ),
        (
            &["serve", "--listen"],
            "--listen: the value is missing, as in --listen ADDR; see berth serve --help",
        ),
        (
            &["serve", "--listen", ":1", "--listen", ":2"],
            "--listen is there twice; see berth serve --help",
        ),
        (
            &["serve", "--log-level", "infoo"],
            "--log-level: \"infoo\" is not a level: use off, error, warn, info, debug or trace, or a filter such as info,berth::decision=debug; see berth serve --help",
        ),
        (
            &["serve", "--log-format", "text"],
            "--log-format: \"text\" is not a log format: use auto, human or json; see berth serve --help",
        ),
        (
            &["serve", "--network-provider", "calico"],
            "--network-provider: \"calico\" is not a network provider: use KubeOVN (or kube-ovn) or OVNKubernetes (or ovn-kubernetes); see berth serve --help",
        ),
        (
            &["serve", "--tls-secret", "Berth"],
            "--tls-secret: \"Berth\" is not the name of an object: use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, up to 253 characters; see berth serve --help",
        ),
        (
            &["serve", "--kubeconfig", "a", "--snapshot", "b"],
            "--kubeconfig and --snapshot exclude each other; see berth serve --help",
        ),
        (
            &["scheduler-config"],
            "missing --ca FILE or --kubeconfig FILE; see berth scheduler-config --help",
        ),
        (
            &["scheduler-config", "--ca", "a", "--client-cert", "/b"],
            "missing --client-key PATH; see berth scheduler-config --help",
        ),
        (
            &["scheduler-config", "--ca", "a", "--context", "b"],
            "missing --kubeconfig FILE; see berth scheduler-config --help",
        ),
        (
            &["scheduler-config", "--ca", "a", "--server-name", "a b"],
            "--server-name: \"a b\" is not a DNS name or an IP address, such as berth.example.com or 10.96.0.77; see berth scheduler-config --help",
        ),
        (
            &["config", "check"],
            "missing FILE; see berth config check --help",
        ),
        (
            &["config", "check", "a", "b"],
            "unknown argument \"b\"; see berth config check --help",
        ),
        (
            &["config", "chekc", "a"],
            "unknown command \"chekc\" (did you mean check?); the commands are default, check, schema; see berth config --help",
        ),
        (
            &["dmeo"],
            "unknown command \"dmeo\" (did you mean demo?); the commands are serve, demo, config, scheduler-config, check, report, drain, annotate, explain, version, cleanup, watch, completion; see berth --help",
        ),
        (
            &["moor"],
            "unknown command \"moor\"; the commands are serve, demo, config, scheduler-config, check, report, drain, annotate, explain, version, cleanup, watch, completion; see berth --help",
        ),
        (
            &["completion", "sh"],
            "SHELL: \"sh\" is not one of bash, elvish, fish, powershell, zsh; see berth completion --help",
        ),
        (
            &["--snapshot", "x"],
            "unknown flag \"--snapshot\"; see berth --help",
        ),
    ] {
        check_failure(args, 3, &format!("error: {expect}"));
    }
}

#[test]
fn a_flag_that_has_no_effect_beside_the_others_is_refused_and_a_variable_is_not() {
    for (args, expect) in [
        (
            &["check", "--cluster-ip", "10.0.0.1"][..],
            "--cluster-ip is for check --pre; see berth check --help",
        ),
        (
            &["check", "--install", "--cluster-ip=10.0.0.1"],
            "--cluster-ip is for check --pre; see berth check --help",
        ),
        (
            &["check", "--pre", "--ovn-sb", "tcp:127.0.0.1:6642"],
            "--ovn-sb has no effect with --install and --pre; see berth check --help",
        ),
        (
            &["annotate", "--ovn-sb", "tcp:127.0.0.1:6642"],
            "unknown flag \"--ovn-sb\"; see berth annotate --help",
        ),
        (
            &["version", "--network-provider", "kube-ovn"],
            "--network-provider has no effect without --cluster; see berth version --help",
        ),
        (
            &["explain", "BRT0102", "-n", "web"],
            "--namespace is for a VM, as in explain vm/NAME; see berth explain --help",
        ),
        (
            &["explain", "web", "--snapshot", "x"],
            "--snapshot is for a VM, as in explain vm/NAME; see berth explain --help",
        ),
        (
            &["drain", "a", "--snapshot", "x", "--context", "b"],
            "--context and --snapshot exclude each other; see berth drain --help",
        ),
    ] {
        check_failure(args, 3, &format!("error: {expect}"));
    }
    for (variable, value, args) in [
        ("BERTH_CLUSTER_IP", "10.0.0.1", &["check", "-A"][..]),
        ("BERTH_NAMESPACE", "default", &["explain", "BRT0102"]),
        ("BERTH_CONTEXT", "none", &["version", "--cluster"]),
        ("BERTH_CONFIG", "/none", &["explain"]),
    ] {
        let mut command = berth();
        command.env(variable, value);
        if args[0] != "explain" {
            command.env("BERTH_SNAPSHOT", snapshot());
        }
        let output = command.args(args).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn help_of_a_command_is_the_same_however_it_is_asked_for() {
    for (lines, flag) in [
        (&["help", "help --help", "help help", "-h"][..], "--help"),
        (
            &["help check", "help check -h", "help --help check"],
            "check --help",
        ),
        (
            &[
                "help config check",
                "config help check",
                "config help check -h",
            ],
            "config check --help",
        ),
        (&["config help", "config help --help"], "config --help"),
    ] {
        let words = |line: &str| stdout(&line.split(' ').collect::<Vec<_>>());
        let expect = words(flag);
        assert!(expect.contains("\nUsage: berth "), "{expect}");
        for line in lines {
            assert_eq!(words(line), expect, "{line}");
        }
    }
    let commands = "the commands are serve, demo, config, scheduler-config, check, report, drain, annotate, explain, version, cleanup, watch, completion";
    for (args, expect) in [
        (
            &["help", "nope"][..],
            format!("unknown command \"nope\"; {commands}; see berth --help"),
        ),
        (
            &["help", "config", "nope"],
            "unknown command \"nope\"; the commands are default, check, schema; see berth config --help"
                .to_owned(),
        ),
        (&["help", "-x"], "unknown flag \"-x\"; see berth --help".to_owned()),
    ] {
        check_failure(args, 3, &format!("error: {expect}"));
    }
}

#[test]
fn a_command_that_is_missing_is_a_wrong_command_line() {
    for args in [&[][..], &["config"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("\nUsage: berth "), "{said}");
    }
}

#[test]
fn the_help_of_every_command_says_its_exit_codes() {
    use clap::CommandFactory;
    fn check(command: &clap::Command) {
        let name = command.get_name();
        let help = command.clone().render_long_help().to_string();
        if name == "berth" {
            assert!(help.contains("\nExit codes: 0 "), "{help}");
        } else {
            let (_, codes) = help.split_once("\nExit codes").expect(name);
            assert!(
                codes.contains("\n  0  ") && codes.contains("\n  3  "),
                "{help}"
            );
        }
        for inner in command.get_subcommands() {
            check(inner);
        }
    }
    check(&berth::args::Cli::command());
}

#[test]
fn the_namespace_of_a_command_is_explained_for_that_command() {
    let help = |command: &str| {
        let words = stdout(&[command, "--help"]);
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let of_vms = "Namespace of the VMs [default: that of the context, or default]";
    assert!(help("annotate").contains(&format!("{of_vms} [env: BERTH_NAMESPACE=]")));
    let of_berth = "; with --install or --pre that of berth [default: berth-system]";
    assert!(help("check").contains(&format!("{of_vms}{of_berth} [env: BERTH_NAMESPACE=]")));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::Stdio;
    for line in ["check -A -o json", "report", "explain", "help check"] {
        let mut command = berth();
        command.env("BERTH_SNAPSHOT", snapshot());
        let mut child = command
            .args(line.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        assert!(output.status.code().is_some(), "{line}");
    }
}

#[test]
fn the_readme_has_a_check_that_works_without_a_cluster() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("README.md")).unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("$ cargo run --locked -- check "))
        .unwrap();
    let mut command = berth();
    command.current_dir(root).arg("check").args(line.split(' '));
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // Four VMs lack the annotation for bridge binding, and the network of two was not captured.
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with("\n12 VMs: 3 ok, 3 with warnings, 4 blocked, 2 not judged\n"),
        "{text}"
    );
}

#[test]
fn a_value_from_the_environment_is_named_by_its_variable() {
    for (variable, value, args, expect) in [
        (
            "BERTH_LISTEN",
            "here",
            &["serve"][..],
            format!("error: BERTH_LISTEN: \"here\" {ADDRESS}; see berth serve --help\n"),
        ),
        (
            "BERTH_FULL",
            "maybe",
            &["scheduler-config", "--ca", "/none"],
            "error: BERTH_FULL: \"maybe\" is not a switch: use 1, true, yes or on, or 0, false, no or off; see berth scheduler-config --help\n".to_owned(),
        ),
        (
            "BERTH_KUBECONFIG",
            "a",
            &["serve", "--snapshot", "b"],
            "error: --snapshot and BERTH_KUBECONFIG exclude each other; see berth serve --help\n".to_owned(),
        ),
    ] {
        let output = berth().env(variable, value).args(args).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expect);
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn every_flag_can_be_set_in_the_environment_and_every_switch_as_people_set_one() {
    use clap::{ArgAction, CommandFactory};
    fn commands(command: &clap::Command) -> Vec<(String, &clap::Command)> {
        let inner = command.get_subcommands().flat_map(commands);
        let inner = inner.map(|(path, inner)| (format!("{} {path}", command.get_name()), inner));
        std::iter::once((command.get_name().to_owned(), command))
            .chain(inner)
            .collect()
    }
    let root = berth::args::Cli::command();
    let mut switches = 0;
    for (path, command) in commands(&root) {
        for arg in command.get_arguments() {
            let Some(long) = arg
                .get_long()
                .filter(|long| !["help", "version"].contains(long))
            else {
                continue;
            };
            let variable = format!("BERTH_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(
                arg.get_env().and_then(|name| name.to_str()),
                Some(&*variable)
            );
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                switches += 1;
                let line = match path.as_str() {
                    "berth serve" => "serve",
                    "berth demo" => "demo",
                    "berth check" => "check",
                    "berth report" => "report",
                    "berth drain" => "drain node",
                    "berth version" => "version",
                    "berth annotate" => "annotate",
                    "berth cleanup" => "cleanup",
                    "berth config check" => "config check -",
                    "berth scheduler-config" => "scheduler-config --ca /none",
                    other => panic!("{other}"),
                };
                let output = berth()
                    .env(&variable, "maybe")
                    .args(line.split(' '))
                    .output()
                    .unwrap();
                let said = String::from_utf8(output.stderr).unwrap();
                let expect = format!(
                    "error: {variable}: \"maybe\" is not a switch: use 1, true, yes or on, or 0, false, no or off; see "
                );
                assert!(said.starts_with(&expect), "{said}");
            }
        }
    }
    assert_eq!(switches, 16);
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
            "error: --snapshot {junk}: not JSON: line 1, column 15: it ends too early; was it written to its end?"
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
        &format!("error: config {config}: guard.launches: \"perhaps\" is not true or false"),
    );
    let lines = write("lines.yaml", "\"a\\nb\": 1");
    check_failure(
        &["serve", "--config", &lines],
        1,
        &format!(
            "error: config {lines}: a b: unknown field; the fields here are apiVersion, kind, listen, adminListen, tls, log, network, guard, migrations, machineType, agents, southbound, continuity, nodeCondition, lease, scoring, limits, shutdown"
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
        "error: southbound.endpoints, --ovn-sb: tcp:127.0.0.1:6642 can't be used with network.provider OVNKubernetes, where each node has databases of its own; leave it out",
    );
    let outside = "set --manage-certificates (tls.managed.outsidePod: true) to let it, or --tls-cert FILE and --tls-key FILE to serve without";
    check_failure(
        &["serve", "--kubeconfig", "k", "--tls-secret", "berth-tls"],
        1,
        &format!(
            "error: --kubeconfig with --tls-secret would write secret berth-tls and the caBundle of webhook configuration berth in that cluster: {outside}"
        ),
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
            format!(
                "error: {flag} {address}: another program listens there; choose another address\n"
            )
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
fn listeners_default_to_loopback_outside_a_pod() {
    let dir = tempfile::tempdir().unwrap();
    let (_, cert, key) = certificate(dir.path());
    let cluster = snapshot();
    for (port, flag, other_flag) in [
        (8443, "--listen", "--admin-listen"),
        (8080, "--admin-listen", "--listen"),
    ] {
        // Taken by this test, or by another program: it is the same, and nothing is served.
        let _taken = TcpListener::bind(("127.0.0.1", port));
        for (variable, host) in [(None, "127.0.0.1"), (Some("10.96.0.1"), "0.0.0.0")] {
            let mut command = berth();
            match variable {
                // As the kubelet does in a pod.
                Some(value) => command.env("KUBERNETES_SERVICE_HOST", value),
                None => command.env_remove("KUBERNETES_SERVICE_HOST"),
            };
            let output = command
                .args(["serve", other_flag, "127.0.0.1:0", "--snapshot"])
                .arg(&cluster)
                .args([Path::new("--tls-cert"), &cert, Path::new("--tls-key"), &key])
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let expect = format!(
                "error: {flag} {host}:{port}: another program listens there; choose another address"
            );
            assert_eq!(said.lines().last(), Some(&*expect), "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

#[test]
fn config_check_reads_standard_input_and_looks_for_the_files_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let here = write("here.pem", "");
    let folder = dir.path().to_str().unwrap();
    let none = format!("{folder}/none.pem");
    let both = format!(
        "tls: {{certFile: {here}, keyFile: {none}, clientCAFile: {folder}}}\nsouthbound: {{caFile: {none}}}"
    );
    let mentioned = format!(
        "tls.keyFile: {none}: No such file or directory (os error 2); tls.clientCAFile: {folder}: Is a directory (os error 21); southbound.caFile: {none}: No such file or directory (os error 2); where these files are on another host or in a pod, add --skip-files"
    );
    let utf16: Vec<u8> = "\u{feff}listen: null"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (text, flags, expect) in [
        (both.as_bytes(), &[][..], Err(mentioned)),
        (both.as_bytes(), &["--skip-files"], Ok("good")),
        (
            format!("tls: {{certFile: {here}, keyFile: {here}}}").as_bytes(),
            &[],
            Ok("good"),
        ),
        (b"guard: {launches: true}", &[], Ok("good")),
        (b"", &[], Ok("good, but empty: every field has its default")),
        (
            b"# launches: true\n",
            &[],
            Ok("good, but empty: every field has its default"),
        ),
        (
            b"guard: {launches: 1}",
            &[],
            Err("guard.launches: 1 is not true or false".to_owned()),
        ),
        (
            &utf16,
            &[],
            Err("not UTF-8 text (> in Windows PowerShell writes UTF-16)".to_owned()),
        ),
    ] {
        let path = dir.path().join("berth.yaml");
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        for (file, name) in [("-", "standard input"), (path, path)] {
            let output = berth()
                .args(["config", "check", file])
                .args(flags)
                .stdin(fs::File::open(path).unwrap())
                .output()
                .unwrap();
            let (stdout, stderr, code) = match &expect {
                Ok(good) => (format!("{name}: {good}\n"), String::new(), 0),
                Err(bad) => (String::new(), format!("error: config {name}: {bad}\n"), 1),
            };
            assert_eq!(
                (
                    String::from_utf8(output.stdout).unwrap(),
                    String::from_utf8(output.stderr).unwrap(),
                    output.status.code()
                ),
                (stdout, stderr, Some(code))
            );
        }
    }
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
            "error: config {path}: machineType.whenUnlabelled: \"Never\" is not one of Auto, Exclude, Allow"
        ),
    );

    let schema: serde_json::Value = serde_json::from_str(&stdout(&["config", "schema"])).unwrap();
    assert_eq!(schema["title"], "BerthConfiguration");
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn the_error_that_ends_serve_is_an_object_where_the_log_is_json_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("berth.yaml");
    fs::write(&config, "log: {format: JSON}").unwrap();
    let config = config.to_str().unwrap();
    let cluster = snapshot();
    let cluster = cluster.to_str().unwrap();
    let said = |args: &[&str], format: Option<&str>| {
        let mut command = berth();
        command.args(args);
        if let Some(format) = format {
            command.env("BERTH_LOG_FORMAT", format);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        (output.status.code(), said)
    };
    for args in [
        &["serve", "--snapshto", "x"][..],
        &["serve", "--config", "/none"],
        &["serve", "--snapshot", "/none"],
        &["serve", "--snapshot", cluster],
    ] {
        let (code, text) = said(args, None);
        let message = text.strip_prefix("error: ").unwrap().trim_end();
        let flags = [&["--log-format", "json"][..], &["--log-format=json"]];
        let flags = flags.map(|flag| said(&[args, flag].concat(), None));
        for (code_in_json, line) in flags.into_iter().chain([said(args, Some("json"))]) {
            assert_eq!(code_in_json, code, "{line}");
            let line: serde_json::Value = serde_json::from_str(&line).expect(&line);
            assert_eq!(
                (&line["level"], &line["target"], &line["message"]),
                (&"ERROR".into(), &"berth".into(), &message.into())
            );
        }
    }
    let (_, line) = said(&["serve", "--config", config, "--snapshot", cluster], None);
    let line: serde_json::Value = serde_json::from_str(&line).expect(&line);
    assert_eq!(line["level"], "ERROR");

    // The log is serve's, and text where no format was chosen or it is for people.
    for (args, format) in [
        (&["config", "check", "/none"][..], Some("json")),
        (&["serve", "--config", "/none"], Some("human")),
        (&["serve", "--config", "/none"], Some("auto")),
    ] {
        let (_, line) = said(args, format);
        assert!(line.starts_with("error: "), "{line}");
    }
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
        "scheduler-client-ca",
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
fn help_has_colour_on_a_terminal_that_wants_it_alone() {
    let Some(script) = crate::tools::find("script", "help on a terminal") else {
        return;
    };
    let program = env!("CARGO_BIN_EXE_berth");
    for (term, no_color, colour) in [
        ("xterm-256color", None, true),
        ("dumb", None, false),
        ("xterm-256color", Some("1"), false),
    ] {
        for flags in ["--help", "serve --help", "config"] {
            let mut terminal = std::process::Command::new(&script);
            terminal
                .args(["-qc", &format!("{program} {flags}"), "/dev/null"])
                .env("TERM", term)
                .env_remove("NO_COLOR")
                .env_remove("CLICOLOR")
                .env_remove("CLICOLOR_FORCE")
                // Where it is set, colours are for the log that a CI system shows.
                .env_remove("CI")
                .stdin(std::process::Stdio::null());
            if let Some(value) = no_color {
                terminal.env("NO_COLOR", value);
            }
            let shown = String::from_utf8(terminal.output().unwrap().stdout).unwrap();
            assert!(
                shown.contains("Usage: ") || shown.contains("Usage:\u{1b}"),
                "{shown}"
            );
            assert_eq!(
                shown.contains('\u{1b}'),
                colour,
                "{term} {no_color:?} {flags}"
            );
        }
    }
}

#[test]
fn the_manifest_for_kube_scheduler_is_what_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, ..) = certificate(dir.path());
    let printed = stdout(&["scheduler-config", "--full", "--ca", ca.to_str().unwrap()]);
    let mut printed: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
    let manifest = include_str!("../../manifests/kube-scheduler-configuration.yaml");
    let mut manifest: serde_json::Value = serde_saphyr::from_str(manifest).unwrap();
    for configuration in [&mut printed, &mut manifest] {
        // The one thing that differs from cluster to cluster.
        let ca = &mut configuration["extenders"][0]["tlsConfig"]["caData"];
        assert!(ca.take().is_string());
    }
    assert_eq!(manifest, printed);
}
