//! Certificates of the running service: replaced under it, and asked of its clients.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use berth::config::Config;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::{PATIENCE, certificate};
use crate::service::{Service, exchange, head};
use crate::support::capture;

/// Puts files into a mounted Secret as the kubelet does: a new folder, and a symlink that is
/// replaced by renaming another over it.
fn mount(volume: &Path, revision: &str, cert: &Path, key: &Path) {
    let folder = volume.join(revision);
    fs::create_dir(&folder).unwrap();
    fs::copy(cert, folder.join("tls.crt")).unwrap();
    fs::copy(key, folder.join("tls.key")).unwrap();
    symlink(revision, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        if !volume.join(name).exists() {
            symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
        }
    }
}

/// The certificate that a new connection gets.
async fn served(service: &Service) -> CertificateDer<'static> {
    let stream = service.connect().await;
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_kubelet_swaps_is_taken_and_a_bad_one_refused() {
    let issuers: Vec<_> = (0..3)
        .map(|_| {
            let dir = tempfile::tempdir().unwrap();
            let files = certificate(dir.path());
            (dir, files)
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    // A client that trusts all three CAs.
    let bundle = dir.path().join("ca.crt");
    let cas: Vec<_> = issuers
        .iter()
        .map(|(_, (ca, ..))| fs::read_to_string(ca).unwrap())
        .collect();
    fs::write(&bundle, cas.concat()).unwrap();
    let volume = dir.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let [first, second, third] = [0, 1, 2].map(|i| &issuers[i].1);
    let der = |cert: &Path| CertificateDer::from_pem_file(cert).unwrap();

    mount(&volume, "..2026_11_21_1", &first.1, &first.2);
    let mut config = Config::parse("tls: {reloadInterval: 5ms}").unwrap();
    config.tls.cert_file = Some(volume.join("tls.crt"));
    config.tls.key_file = Some(volume.join("tls.key"));
    let service = Service::with_files(config, bundle).await;
    let reloaded = r#"berth_tls_reloads_total{outcome="reloaded"}"#;
    let refused = r#"berth_tls_reloads_total{outcome="refused"}"#;
    assert_eq!(served(&service).await, der(&first.1));

    mount(&volume, "..2026_11_21_2", &second.1, &second.2);
    until("the second certificate", async || {
        served(&service).await == der(&second.1)
    })
    .await;
    until("its count", async || service.metric(reloaded).await == 1.0).await;

    // A key of another certificate: said once, whatever the number of looks.
    mount(&volume, "..2026_11_21_3", &third.1, &first.2);
    until("the refusal", async || service.metric(refused).await == 1.0).await;
    assert_eq!(served(&service).await, der(&second.1));
    service.good().await;

    mount(&volume, "..2026_11_21_4", &third.1, &third.2);
    until("the third certificate", async || {
        served(&service).await == der(&third.1)
    })
    .await;
    until("its count", async || service.metric(reloaded).await == 2.0).await;
    assert_eq!(service.metric(refused).await, 1.0);
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_client_ca_only_its_clients_are_answered() {
    let server = tempfile::tempdir().unwrap();
    let (ca, cert, key) = certificate(server.path());
    let clients = tempfile::tempdir().unwrap();
    let (client_ca, client_cert, client_key) = certificate(clients.path());
    let strangers = tempfile::tempdir().unwrap();
    let (_, stranger_cert, stranger_key) = certificate(strangers.path());
    let mut config = Config::default();
    config.tls.cert_file = Some(cert);
    config.tls.key_file = Some(key);
    config.tls.client_ca_file = Some(client_ca);
    let service = Service::with_files(config, ca).await;

    let body = capture("admission-create-vm-bridge");
    for (client, answered) in [
        (Some((&client_cert, &client_key)), true),
        (Some((&stranger_cert, &stranger_key)), false),
        (None, false),
    ] {
        // In TLS 1.3 the client learns of a refusal when it reads.
        let answer = match service.connect_as(client).await {
            Ok(mut stream) => exchange(&mut stream, &head("/mutate", body.len()), &body).await,
            Err(_) => String::new(),
        };
        assert_eq!(answer.starts_with("HTTP/1.1 200 OK"), answered, "{answer}");
    }

    // Who brings none is told so, whatever it has sent by then.
    let refusal = async {
        let mut stream = service.connect_as(None).await?;
        stream.write_all(&vec![b' '; 32 << 10]).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    let error = refusal.await.unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    service.running.shut_down().await;
}

/// A client's certificate decides on `/scheduler/…` alone, and the reason goes to the client.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_scheduler_client_ca_only_its_clients_reach_the_extender() {
    let server = tempfile::tempdir().unwrap();
    let (ca, cert, key) = certificate(server.path());
    let issuers = [(); 2].map(|()| {
        let dir = tempfile::tempdir().unwrap();
        let files = certificate(dir.path());
        (dir, files)
    });
    let [
        (_, (first_ca, first_cert, first_key)),
        (_, (other_ca, other_cert, other_key)),
    ] = &issuers;
    let bundle = server.path().join("clients.crt");
    fs::copy(first_ca, &bundle).unwrap();
    let mut config = Config::parse("tls: {reloadInterval: 5ms}").unwrap();
    config.tls.cert_file = Some(cert);
    config.tls.key_file = Some(key);
    config.tls.scheduler_client_ca_file = Some(bundle.clone());
    let service = Service::with_files(config, ca).await;
    let (first, other) = ((first_cert, first_key), (other_cert, other_key));

    let statuses = async |client| {
        let mut statuses = Vec::new();
        for (path, body) in [
            ("/mutate", capture("admission-create-vm-bridge")),
            ("/scheduler/filter", capture("filter-names-migration")),
            ("/scheduler/prioritize", capture("filter-names-migration")),
            ("/scheduler/preempt", "{}".to_owned()),
        ] {
            let mut stream = service.connect_as(client).await.unwrap();
            let answer = exchange(&mut stream, &head(path, body.len()), &body).await;
            let (status, rest) = answer["HTTP/1.1 ".len()..].split_at(3);
            if matches!(status, "401" | "403") {
                assert!(rest.contains("--scheduler-client-ca"), "{answer}");
            }
            statuses.push(status.to_owned());
        }
        statuses
    };
    assert_eq!(statuses(None).await, ["200", "401", "401", "401"]);
    assert_eq!(statuses(Some(other)).await, ["200", "403", "403", "403"]);
    assert_eq!(statuses(Some(first)).await, ["200", "200", "200", "400"]);
    let refused = r#"berth_requests_refused_total{cause="unauthorized",surface="extender"}"#;
    assert_eq!(service.metric(refused).await, 6.0);

    // Another bundle is taken while berth serves.
    fs::copy(other_ca, &bundle).unwrap();
    let taken = r#"berth_tls_reloads_total{outcome="reloaded"}"#;
    until("the other bundle", async || {
        service.metric(taken).await == 1.0
    })
    .await;
    assert_eq!(statuses(Some(first)).await, ["200", "403", "403", "403"]);
    assert_eq!(statuses(Some(other)).await, ["200", "200", "200", "400"]);
    service.running.shut_down().await;
}
