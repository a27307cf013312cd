//! The development certificates that `certs/dev.sh` makes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::process::Served;
use crate::tools;

fn dev_certs(dir: &Path, flags: &[&str]) -> io::Result<Output> {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/certs/dev.sh"))
        .args(flags)
        .arg(dir)
        .output()
}

#[test]
fn dev_certificates_load_and_name_every_address() {
    if tools::find("openssl", "certificates made by certs/dev.sh").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let made = dev_certs(dir.path(), &["--client", "system:kube-scheduler"]).unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(dir.path().join("ca.pem")).unwrap())
        .unwrap();
    for name in ["server", "system-kube-scheduler"] {
        let key = dir.path().join(name).with_extension("key");
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(
            PrivateKeyDer::from_pem_file(&key).unwrap(),
            PrivateKeyDer::Pkcs8(_)
        ));
    }
    let server = CertificateDer::from_pem_file(dir.path().join("server.pem")).unwrap();
    let parsed = rustls::server::ParsedCertificate::try_from(&server).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "berth.berth-system.svc"] {
        let name = ServerName::try_from(name).unwrap();
        rustls::client::verify_server_name(&parsed, &name).unwrap();
    }
    rustls::client::verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &roots,
        &[],
        rustls::pki_types::UnixTime::now(),
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .all,
    )
    .unwrap();
}

#[test]
fn the_commands_that_are_printed_serve_and_are_answered() {
    let Some(curl) = tools::find("curl", "what certs/dev.sh prints") else {
        return;
    };
    if tools::find("openssl", "certificates made by certs/dev.sh").is_none() {
        return;
    }
    for flags in [&[][..], &["--client", "kube-apiserver"]] {
        let parent = tempfile::tempdir().unwrap();
        // Both commands are for a shell.
        let dir = parent.path().join("a folder");
        let made = dev_certs(&dir, flags).unwrap();
        let printed = String::from_utf8(made.stdout).unwrap();
        let command = |start: &str| {
            let mut lines = printed.lines().filter_map(|line| line.strip_prefix(start));
            lines
                .next()
                .unwrap_or_else(|| panic!("{printed}"))
                .to_owned()
        };
        // As the shell takes it apart.
        let serve = Command::new("bash")
            .args([
                "-c",
                &format!("printf '%s\\n' {}", command("cargo run -- serve ")),
            ])
            .output()
            .unwrap();
        let serve = String::from_utf8(serve.stdout).unwrap();
        let served = Served::start_with(&serve.lines().collect::<Vec<_>>());
        let ask = command("curl ").replace(":8443/", &format!(":{}/", served.https.port()));
        let answer = Command::new("bash")
            .args([
                "-c",
                &format!("{} --silent --show-error {ask}", curl.display()),
            ])
            .output()
            .unwrap();
        let body = String::from_utf8(answer.stdout).unwrap();
        assert!(
            body.contains(r#""allowed":true"#) && body.contains(r#""patchType":"JSONPatch""#),
            "{body}{}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
}

#[test]
fn dev_certificates_are_not_overwritten_unasked() {
    if tools::find("openssl", "certificates made by certs/dev.sh").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(dev_certs(dir.path(), &[]).unwrap().status.success());
    let first = fs::read(dir.path().join("server.key")).unwrap();

    assert!(!dev_certs(dir.path(), &[]).unwrap().status.success());
    assert_eq!(fs::read(dir.path().join("server.key")).unwrap(), first);

    assert!(
        dev_certs(dir.path(), &["--force"])
            .unwrap()
            .status
            .success()
    );
    assert_ne!(fs::read(dir.path().join("server.key")).unwrap(), first);
}
