//! The southbound database over `ssl:`, by certificates that are right, wrong and out of date, and
//! by those that Open vSwitch's own tool makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use berth::metrics::Registry;
use berth::ovn::{ChassisView, ConnectionMetrics, southbound};
use berth::tls::{ClientFiles, Identity};
use ovsdb::{ClientOptions, Endpoints, ErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use crate::ovn_lab::{Followed, Ovn, Server, insert_chassis, judge};

/// An authority, and what it issues.
struct Pki {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Self {
            dir: dir.to_owned(),
            issuer,
        }
    }

    /// Issues a certificate as Kube-OVN's is: to `ovn`, which is no host.
    fn issue(&self, name: &str, days: i64) {
        let mut params = CertificateParams::new(["ovn".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "ovn");
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::days(30);
        params.not_after = now + Duration::days(days);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.file(name, "pem"), certificate.pem()).unwrap();
        fs::write(self.file(name, "key"), key.serialize_pem()).unwrap();
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{name}.{extension}"))
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    fn identity(&self, name: &str) -> Identity {
        Identity {
            cert: self.file(name, "pem"),
            key: self.file(name, "key"),
        }
    }
}

/// A server with a certificate, which takes clients of an authority.
fn serve(ovn: &Ovn, dir: &Path, identity: &Identity, ca: &Path) -> Server {
    let args = [
        "--remote=pssl:0:127.0.0.1".to_owned(),
        format!("--certificate={}", identity.cert.display()),
        format!("--private-key={}", identity.key.display()),
        format!("--ca-cert={}", ca.display()),
    ];
    let args = args.each_ref().map(String::as_str);
    let schema = ovn.schema("OVN_Southbound");
    let server = Server::create(ovn, dir, "OVN_Southbound", &schema, &args);
    server.transact(ovn, &insert_chassis("c1", "n1", "127.0.2.1"));
    server
}

fn at(server: &Server) -> String {
    format!("ssl:127.0.0.1:{}", server.port)
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_server_of_the_authority_is_followed_whatever_its_name_and_any_other_is_not() {
    let Some(ovn) = Ovn::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(&dir.path().join("pki"));
    let other = Pki::new(&dir.path().join("other"));
    for (name, days) in [("server", 30), ("expired", -1), ("berth", 30)] {
        pki.issue(name, days);
    }
    other.issue("berth", 30);
    let files = |ca: &Pki, identity: Option<Identity>| {
        Some(ClientFiles {
            ca: ca.ca(),
            identity,
        })
    };
    let berth = || Some(pki.identity("berth"));
    let good = serve(
        &ovn,
        &dir.path().join("a"),
        &pki.identity("server"),
        &pki.ca(),
    );
    let expired = serve(
        &ovn,
        &dir.path().join("b"),
        &pki.identity("expired"),
        &pki.ca(),
    );

    let mut followed = Followed::start(&at(&good), files(&pki, berth()));
    followed.until_equal(&ovn, &good).await;
    assert_eq!(followed.judge("n1", "c1", 0), [""; 0]);

    for (what, server, files) in [
        (
            "a server of another authority",
            &good,
            files(&other, berth()),
        ),
        ("an expired server", &expired, files(&pki, berth())),
        ("a client without a certificate", &good, files(&pki, None)),
        (
            "a client of another authority",
            &good,
            files(&pki, Some(other.identity("berth"))),
        ),
        ("no authority", &good, None),
        ("no file", &good, files(&pki, Some(pki.identity("none")))),
    ] {
        let mut followed = Followed::start(&at(server), files);
        followed.failed(what, ErrorKind::Tls).await;
        assert_eq!(followed.syncs("full"), 0, "{what}");
    }
    let mut followed = Followed::start(&format!("tcp:127.0.0.1:{}", good.port), None);
    followed
        .failed("no TLS where it is due", ErrorKind::Closed)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_certificate_that_is_renewed_is_used_from_the_next_connection_on() {
    let Some(ovn) = Ovn::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(&dir.path().join("pki"));
    let other = Pki::new(&dir.path().join("other"));
    pki.issue("server", 30);
    pki.issue("good", 30);
    other.issue("berth", 30);
    let server = serve(
        &ovn,
        &dir.path().join("a"),
        &pki.identity("server"),
        &pki.ca(),
    );
    let files = ClientFiles {
        ca: pki.ca(),
        identity: Some(other.identity("berth")),
    };
    let mut followed = Followed::start(&at(&server), Some(files));
    followed.failed("refused", ErrorKind::Tls).await;
    for extension in ["pem", "key"] {
        fs::copy(pki.file("good", extension), other.file("berth", extension)).unwrap();
    }
    followed.until_equal(&ovn, &server).await;
}

/// As `ovs-pki` makes them, which Kube-OVN uses.
#[tokio::test(flavor = "multi_thread")]
async fn ovn_certificates_of_ovs_pki_are_good_ones() {
    let Some(ovn) = Ovn::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    let [pki_dir, log] = ["--dir=", "--log="].map(|flag| format!("{flag}{}", pki.display()));
    let log = format!("{log}.log");
    ovn.run("ovs-pki", dir.path(), &[&pki_dir, &log, "init"]);
    ovn.run(
        "ovs-pki",
        dir.path(),
        &[&pki_dir, &log, "-u", "req+sign", "ovn", "switch"],
    );
    let identity = Identity {
        cert: dir.path().join("ovn-cert.pem"),
        key: dir.path().join("ovn-privkey.pem"),
    };
    let ca = pki.join("switchca/cacert.pem");
    let server = serve(&ovn, &dir.path().join("a"), &identity, &ca);
    let view = Arc::new(ArcSwap::from_pointee(ChassisView::default()));
    let stats = Arc::new(ConnectionMetrics::register(&Registry::default()).unwrap());
    let options = ClientOptions {
        tls: Some(
            ClientFiles {
                ca,
                identity: Some(identity),
            }
            .into(),
        ),
        ..ClientOptions::new(Endpoints::parse("test", &at(&server)).unwrap())
    };
    let (send, mut told) = watch::channel(0);
    let publish = move |view: &ChassisView| {
        send.send_replace(view.count());
    };
    let task = tokio::spawn(southbound::watch(
        options,
        southbound::spec(true, false),
        std::time::Duration::from_secs(15),
        Arc::clone(&view),
        Arc::clone(&stats),
        publish,
    ));
    let seen =
        tokio::time::timeout(crate::process::PATIENCE, told.wait_for(|count| *count == 1)).await;
    assert!(seen.is_ok(), "{stats:?}");
    drop(seen);
    let rename = json!({"op": "update", "table": "Chassis", "where": [], "row": {"hostname": "x"}});
    server.transact(&ovn, &[rename]);
    let start = std::time::Instant::now();
    while judge(&view.load(), "n1", "c1", 0) != ["chassis_identity"] {
        assert!(start.elapsed() < crate::process::PATIENCE, "{stats:?}");
        let left = crate::process::PATIENCE.saturating_sub(start.elapsed());
        let _ = tokio::time::timeout(left, told.changed()).await;
    }
    task.abort();
}
