//! Bad files by message, the kubelet's swap under a serving store, and client certificates.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::source::read_stable;
use super::{
    CertificateStore, ClientCas, Credentials, Material, PairSource, PemPair, ReloadOutcome, Role,
    Source, TlsError,
};
use crate::peer::{Access, Grant};

const RSA_A: &str = include_str!("testdata/rsa_a.pkcs8.b64");
const RSA_A_PKCS1: &str = include_str!("testdata/rsa_a.pkcs1.b64");
const RSA_B: &str = include_str!("testdata/rsa_b.pkcs8.b64");
const ECDSA: &str = include_str!("testdata/ecdsa.pkcs8.b64");
const RSA_5120: &str = include_str!("testdata/rsa_5120.pkcs8.b64");
const RSA_5120_CERT: &str = include_str!("testdata/rsa_5120.cert.b64");
const P521_CA: &str = include_str!("testdata/p521_ca.pkcs8.b64");
const P521_CA_CERT: &str = include_str!("testdata/p521_ca.cert.b64");
const P521_SIGNED_SHA512: &str = include_str!("testdata/p521_signed_sha512.cert.b64");
const P521_SIGNED_SHA384: &str = include_str!("testdata/p521_signed_sha384.cert.b64");
const ECDSA_SEC1: &str = include_str!("testdata/ecdsa.sec1.b64");

#[test]
fn bad_certificate_files_are_told_apart() {
    let Pair { cert, key } = mk_pair();
    let no_end = cert.replace("-----END CERTIFICATE-----", "");
    let bad_chain = cert.clone() + &pem("CERTIFICATE", "AAAA\n");
    let large = "#".repeat(1024 * 1024 + 1);
    for (cert, message) in [
        (
            "",
            "certificate file DIR/tls.crt is empty; wait for the issuer to fill the secret, or write PEM into it",
        ),
        (
            &large,
            "certificate file DIR/tls.crt is larger than 1048576 bytes; point the path at a PEM file",
        ),
        (
            "garbage",
            "no certificate in certificate file DIR/tls.crt; write a PEM section CERTIFICATE into it",
        ),
        (
            &key,
            "certificate file DIR/tls.crt holds a private key instead; check that the paths are not swapped",
        ),
        (
            &no_end,
            "certificate file DIR/tls.crt is not valid PEM: a section has no END line; write it again from its source",
        ),
        (
            &bad_chain,
            "cannot use certificate 2 in certificate file DIR/tls.crt: it is not X.509; have it issued again",
        ),
    ] {
        assert_eq!(load_error(cert, &key, None), message);
    }
}

#[test]
fn bad_key_files_are_told_apart() {
    let Pair { cert, key } = mk_pair();
    let two_keys = key.clone() + &mk_pair().key;
    let bad_begin = key.replace("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY");
    let not_base64 = key.replace("-----\nM", "-----\n*");
    let encrypted = pem("ENCRYPTED PRIVATE KEY", "AAAA\n");
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n";
    let old_encrypted = pem("RSA PRIVATE KEY", headers);
    for (key, message) in [
        (
            " \n",
            "key file DIR/tls.key is empty; wait for the issuer to fill the secret, or write PEM into it",
        ),
        (
            "garbage",
            "no private key in key file DIR/tls.key; write a PEM section PRIVATE KEY into it",
        ),
        (
            &cert,
            "key file DIR/tls.key holds a certificate instead; check that the paths are not swapped",
        ),
        (
            &bad_begin,
            "key file DIR/tls.key is not valid PEM: a BEGIN line is malformed; write it again from its source",
        ),
        (
            &not_base64,
            "key file DIR/tls.key is not valid PEM: a section is not base64; write it again from its source",
        ),
        (
            &two_keys,
            "key file DIR/tls.key holds 2 private keys; keep the one that belongs to the certificate",
        ),
        (
            &encrypted,
            "the private key in key file DIR/tls.key is encrypted; store it without a passphrase",
        ),
        (
            &old_encrypted,
            "the private key in key file DIR/tls.key is encrypted; store it without a passphrase",
        ),
        (
            &pem("PRIVATE KEY", "AAAA\n"),
            "cannot use the private key in key file DIR/tls.key: it is damaged; have it issued again as RSA of 2048, 3072 or 4096 bits, ECDSA on P-256 or P-384, or Ed25519",
        ),
    ] {
        assert_eq!(load_error(&cert, key, None), message);
    }
}

#[test]
fn pairs_that_do_not_belong_together_are_refused() {
    let (ecdsa, other_ecdsa) = (mk_pair(), mk_pair());
    let (rsa, other_rsa) = (mk_pair_of(RSA_A), mk_pair_of(RSA_B));
    let ed25519 = mk_pair_with(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let mismatch = "the first certificate in certificate file DIR/tls.crt is not for the key in key file DIR/tls.key; mount a pair that was issued together, leaf first";
    for (cert, key, message) in [
        (&ecdsa, &other_ecdsa, mismatch),
        (&rsa, &other_rsa, mismatch),
        (
            &rsa,
            &ecdsa,
            "certificate file DIR/tls.crt is for RSA but key file DIR/tls.key holds ECDSA; mount a pair that was issued together",
        ),
        (
            &ed25519,
            &rsa,
            "certificate file DIR/tls.crt is for Ed25519 but key file DIR/tls.key holds RSA; mount a pair that was issued together",
        ),
    ] {
        assert_eq!(load_error(&cert.cert, &key.key, None), message);
    }
}

#[test]
fn a_chain_in_the_wrong_order_says_which_certificate_comes_first() {
    let (ca, other) = (mk_authority(), mk_pair_of(RSA_A));
    let leaf = mk_issued(&ca, &mk_params());
    let expect = |number: usize| {
        format!(
            "certificate {number} in certificate file DIR/tls.crt is the one for the key in key file DIR/tls.key, and stands behind others; put it first, then the certificate that issued it, and so on"
        )
    };
    let chain = ca.pem() + &leaf.cert;
    assert_eq!(load_error(&chain, &leaf.key, None), expect(2));
    // Whatever the keys of the others are.
    let chain = other.cert + &ca.pem() + &leaf.cert;
    assert_eq!(load_error(&chain, &leaf.key, None), expect(3));
}

#[test]
fn a_key_that_berth_can_not_sign_with_is_named_by_its_algorithm() {
    let signs = "RSA of 2048, 3072 or 4096 bits, ECDSA on P-256 or P-384, or Ed25519";
    for (cert, key, algorithm) in [
        (RSA_5120_CERT, RSA_5120, "RSA of 5120 bits"),
        (P521_CA_CERT, P521_CA, "ECDSA on P-521"),
    ] {
        let (cert, key) = (pem("CERTIFICATE", cert), pem("PRIVATE KEY", key));
        assert_eq!(
            load_error(&cert, &key, None),
            format!(
                "cannot use the private key in key file DIR/tls.key: it is for {algorithm}, with which berth can't sign; have it issued again as {signs}"
            )
        );
    }
}

#[test]
fn client_cas_that_berth_can_not_verify_are_refused_alone_and_warned_of_beside_others() {
    let Pair { cert, key } = mk_pair();
    let verifies = "RSA of 2048 to 8192 bits with SHA-256, SHA-384 or SHA-512, ECDSA on P-256 or P-384 with SHA-256 or SHA-384, or Ed25519";
    let p521 = pem("CERTIFICATE", P521_CA_CERT);
    assert_eq!(
        load_error(&cert, &key, Some(&p521)),
        format!(
            "no ca in client ca file DIR/ca.crt can be used: certificate 1 is for ECDSA on P-521, and berth verifies {verifies} alone; use a ca with such a key"
        )
    );
    let bundle = mk_authority().pem() + &p521;
    assert_eq!(
        warnings(&Pair { cert, key }, Some(&bundle)),
        [format!(
            "certificate 2 in client ca file DIR/ca.crt is for ECDSA on P-521, and berth can't verify what it signs: it takes {verifies}"
        )]
    );
}

#[test]
fn a_pair_that_callers_will_refuse_is_taken_with_a_warning() {
    let ca = mk_authority();
    let for_clients = mk_client(&ca);
    let nameless = "the first certificate in certificate file DIR/tls.crt has no server name, and callers will refuse it: have it issued with the names that they call as subjectAltName";
    let not_for_servers = "the first certificate in certificate file DIR/tls.crt is not for servers, and callers will refuse it: have it issued with the extended key usage serverAuth";
    let usage = |usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = mk_params();
        params.extended_key_usages = usages.to_vec();
        mk_issued(&ca, &params)
    };
    let leaf = usage(&[]);
    let mut stray = mk_params();
    stray
        .distinguished_name
        .push(rcgen::DnType::CommonName, "somebody else");
    let stray = mk_pair_from(&stray, &KeyPair::generate().unwrap());
    let unordered = Pair {
        cert: leaf.cert.clone() + &stray.cert + &ca.pem(),
        key: leaf.key.clone(),
    };
    let whole = Pair {
        cert: leaf.cert.clone() + &ca.pem(),
        key: leaf.key.clone(),
    };
    for (pair, expect) in [
        (mk_pair(), &[][..]),
        (whole, &[]),
        (for_clients, &[nameless, not_for_servers]),
        (
            usage(&[ExtendedKeyUsagePurpose::ClientAuth]),
            &[not_for_servers],
        ),
        (
            usage(&[
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ]),
            &[],
        ),
        (usage(&[ExtendedKeyUsagePurpose::Any]), &[]),
        (
            unordered,
            &[
                "certificate 1 in certificate file DIR/tls.crt is not followed by the one that issued it, and callers may not find the way to their CA: put the leaf first, then its issuer, then the issuer of that",
            ],
        ),
    ] {
        assert_eq!(warnings(&pair, None), expect);
    }
}

#[tokio::test]
async fn a_chain_that_berth_can_not_verify_is_named_in_words() {
    let key = pem("PRIVATE KEY", ECDSA);
    for (cert, expect) in [
        (
            P521_SIGNED_SHA512,
            "signed by ECDSA with SHA-512, which berth can't verify: it takes RSA",
        ),
        (
            P521_SIGNED_SHA384,
            "signed by ECDSA with SHA-384 with a key for ECDSA on P-521, which berth can't verify: it takes RSA",
        ),
    ] {
        let store = mk_store(&Pair {
            cert: pem("CERTIFICATE", cert),
            key: key.clone(),
        });
        let trusted = pem("CERTIFICATE", P521_CA_CERT);
        let client = client_config(&trusted, None, rustls::ALL_VERSIONS);
        let error = handshake_with(&store, client).await.unwrap_err();
        let text = super::explain(&error).unwrap();
        assert!(text.contains(expect), "{text}");
    }
}

#[test]
fn bad_client_ca_files_are_told_apart() {
    let Pair { cert, key } = mk_pair();
    let bad_second = cert.clone() + &pem("CERTIFICATE", "AAAA\n");
    for (client_ca, message) in [
        (
            "",
            "client ca file DIR/ca.crt is empty; wait for the issuer to fill the secret, or write PEM into it",
        ),
        (
            "garbage",
            "no certificate in client ca file DIR/ca.crt; write a PEM section CERTIFICATE into it",
        ),
        (
            &bad_second,
            "cannot use certificate 2 in client ca file DIR/ca.crt: it is not X.509; have it issued again",
        ),
    ] {
        assert_eq!(load_error(&cert, &key, Some(client_ca)), message);
    }
}

#[test]
fn a_missing_file_is_named() {
    let mount = Mount::new(&mk_pair(), None);
    for (role, name) in [
        ("certificate file", "tls.crt"),
        ("key file", "tls.key"),
        ("client ca file", "ca.crt"),
    ] {
        mount.swap("..with_ca", &mk_pair(), Some("unread"));
        fs::remove_file(mount.dir.path().join(name)).unwrap();
        let expected = format!(
            "cannot read {role} DIR/{name}: No such file or directory (os error 2); mount the secret, or correct the path or its permissions"
        );
        assert_eq!(
            mount.without_dir(&load(&mount.files(true)).unwrap_err()),
            expected
        );
        symlink(format!("..data/{name}"), mount.dir.path().join(name)).unwrap();
    }
}

#[test]
fn every_key_format_and_chain_is_taken() {
    let rsa = mk_pair_of(RSA_A);
    let ecdsa = mk_pair_of(ECDSA);
    let p384 = mk_pair_with(&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap());
    let ed25519 = mk_pair_with(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let sec1 = pem("EC PARAMETERS", "BggqhkjOPQMBBw==\n") + &pem("EC PRIVATE KEY", ECDSA_SEC1);
    let combined = rsa.key.clone() + &rsa.cert;
    for (cert, key) in [
        (rsa.cert.clone(), rsa.key.clone()),
        (rsa.cert.clone(), pem("RSA PRIVATE KEY", RSA_A_PKCS1)),
        (ecdsa.cert.clone(), ecdsa.key.clone()),
        (ecdsa.cert.clone(), sec1),
        (p384.cert.clone(), p384.key.clone()),
        (ed25519.cert.clone(), ed25519.key.clone()),
        // leaf, then another certificate as its issuer
        (ecdsa.cert.clone() + &rsa.cert, ecdsa.key.clone()),
        // one file for both
        (combined.clone(), combined),
    ] {
        let credentials = load(&Mount::new(&Pair { cert, key }, None).files(false));
        let config = credentials.unwrap().config;
        assert_eq!(config.alpn_protocols, [b"h2".as_slice(), b"http/1.1"]);
    }
}

#[test]
fn a_swap_between_two_reads_is_read_again() {
    let mut reads = ["old cert, new key", "new", "new", "unread"].into_iter();
    let part = mk_files().part(Role::Certificate);
    let read = read_stable(&part, || Ok(reads.next().unwrap()));
    assert_eq!(read.unwrap(), "new");

    let mut count = 0;
    let read = read_stable(&part, || {
        count += 1;
        Ok(count)
    });
    assert_eq!(
        read.unwrap_err().to_string(),
        "certificate file /tls.crt and the files beside it keep changing while they are read; write them all at once"
    );
    assert_eq!(count, 5);
}

#[tokio::test]
async fn the_swap_of_the_kubelet_is_seen() {
    let old = mk_pair();
    let mount = Mount::new(&old, None);
    let store = CertificateStore::open(mount.files(false)).unwrap();
    handshake(&store, &old, None).await.unwrap();
    assert!(matches!(store.reload(), ReloadOutcome::Unchanged));

    let new = mk_pair();
    mount.swap("..2026_11_21", &new, None);
    assert!(matches!(store.reload(), ReloadOutcome::Reloaded { .. }));
    handshake(&store, &new, None).await.unwrap();

    let torn = Pair {
        cert: mk_pair().cert,
        key: new.key.clone(),
    };
    mount.swap("..2026_11_22", &torn, None);
    let refused = store.reload();
    assert!(
        matches!(&refused, ReloadOutcome::Refused(TlsError::Mismatch { .. })),
        "{refused:?}"
    );
    assert!(matches!(store.reload(), ReloadOutcome::Unchanged));
    handshake(&store, &new, None).await.unwrap();

    let newest = mk_pair();
    mount.swap("..2026_11_23", &newest, None);
    assert!(matches!(store.reload(), ReloadOutcome::Reloaded { .. }));
    handshake(&store, &newest, None).await.unwrap();
}

#[test]
fn a_refusal_is_reported_once_per_content() {
    let good = mk_pair();
    let mount = Mount::new(&good, None);
    let store = CertificateStore::open(mount.files(false)).unwrap();
    let look = |cert: &str| {
        let pair = Pair {
            cert: cert.to_owned(),
            key: good.key.clone(),
        };
        store
            .offer_pair(pair.material().pair, SystemTime::now())
            .label()
    };
    assert_eq!(look("bad"), "refused");
    assert_eq!(look("bad"), "unchanged");
    assert_eq!(look("bad as well"), "refused");
    assert_eq!(look(&good.cert), "unchanged");
    assert_eq!(look("bad as well"), "refused");

    fs::remove_file(mount.dir.path().join("tls.key")).unwrap();
    assert_eq!(store.reload().label(), "refused");
    assert_eq!(store.reload().label(), "unchanged");
}

#[tokio::test(start_paused = true)]
async fn the_poll_reports_changes_only() {
    const INTERVAL: Duration = Duration::from_secs(10);
    let mount = Mount::new(&mk_pair(), None);
    let store = Arc::new(CertificateStore::open(mount.files(false)).unwrap());
    let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    let polling = tokio::spawn(Arc::clone(&store).run(INTERVAL, move |outcome| {
        sender.send(outcome.label()).unwrap();
    }));

    for (dir, pair, label) in [
        ("..1", mk_pair(), "reloaded"),
        (
            "..2",
            Pair {
                cert: String::new(),
                ..mk_pair()
            },
            "refused",
        ),
        ("..3", mk_pair(), "reloaded"),
    ] {
        mount.swap(dir, &pair, None);
        assert_eq!(outcomes.recv().await, Some(label));
        // Several more polls of the same content say nothing.
        tokio::time::sleep(INTERVAL * 5).await;
        assert!(outcomes.try_recv().is_err());
    }
    polling.abort();
}

#[test]
fn an_expired_leaf_is_served_at_start_and_refused_at_reload() {
    let expired = mk_pair_until(2020);
    let valid = mk_pair_until(2030);
    let store = mk_store(&expired);
    let not_after = UNIX_EPOCH + days(18_262); // 2020-01-01
    assert_eq!(store.not_after(), not_after);

    // A renewal is taken, and another expired one while that lasts is not.
    let now = not_after + days(365);
    assert_eq!(judge(&store, &valid, now).label(), "reloaded");
    let refused = judge(&store, &expired, now);
    let ReloadOutcome::Refused(error) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        error.to_string(),
        "certificate file /tls.crt expired at 2020-01-01T00:00:00Z; renew it, the certificate in use is still valid"
    );
    assert_ne!(store.not_after(), not_after);

    // When both have expired there is nothing left to protect.
    let now = not_after + days(3660);
    assert_eq!(judge(&store, &expired, now).label(), "reloaded");
    assert_eq!(store.not_after(), not_after);
}

#[test]
fn a_leaf_whose_time_has_not_come_waits_while_the_old_one_is_valid() {
    let current = mk_pair_until(2030);
    let early = mk_pair_between(2028, 2040);
    let store = mk_store(&current);
    let in_2026 = UNIX_EPOCH + days(20_454);
    let refused = judge(&store, &early, in_2026);
    let ReloadOutcome::Refused(error) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        error.to_string(),
        "certificate file /tls.crt is valid from 2028-01-01T00:00:00Z on; check the clock of this node, the certificate in use is still valid"
    );
    // Looked at again, it is taken as soon as it is good.
    let judge = |now| judge(&store, &early, now).label();
    assert_eq!(judge(in_2026 + days(1)), "unchanged");
    assert_eq!(judge(in_2026 + days(800)), "reloaded");
}

#[tokio::test]
async fn with_a_client_ca_clients_must_show_its_certificate() {
    let server = mk_pair();
    let (ours, theirs) = (mk_authority(), mk_authority());
    let mount = Mount::new(&server, Some(&ours.pem()));
    let store = CertificateStore::open(mount.files(true)).unwrap();

    let known = mk_client(&ours);
    let stranger = mk_client(&theirs);
    handshake(&store, &server, Some(&known)).await.unwrap();
    handshake(&store, &server, Some(&stranger))
        .await
        .unwrap_err();
    handshake(&store, &server, None).await.unwrap_err();

    // The bundle is reloaded as well.
    mount.swap("..next", &server, Some(&theirs.pem()));
    assert_eq!(store.reload().label(), "reloaded");
    handshake(&store, &server, Some(&stranger)).await.unwrap();
    handshake(&store, &server, Some(&known)).await.unwrap_err();
}

/// The routes that a client may call, by the two bundles and by the authority of its certificate.
#[tokio::test]
async fn each_bundle_opens_its_own_routes() {
    const OPEN: Grant = Grant::Granted;
    const NONE: Grant = Grant::NoCertificate;
    const OTHER: Grant = Grant::OtherCertificate;
    let server = mk_pair();
    let [client_ca, scheduler_ca, stranger_ca] = [(); 3].map(|()| mk_authority());
    let clients = [
        None,
        Some(mk_client(&client_ca)),
        Some(mk_client(&scheduler_ca)),
        Some(mk_client(&stranger_ca)),
    ];
    let both = Some((OPEN, OPEN));
    // For no certificate, one of the client CA, of the scheduler CA, of another: `None` is a
    // handshake that fails, else what `/mutate` and `/scheduler/…` say.
    for (with_client_ca, with_scheduler_ca, expect) in [
        (false, false, [both, both, both, both]),
        (true, false, [None, both, None, None]),
        (
            false,
            true,
            [
                Some((OPEN, NONE)),
                Some((OPEN, OTHER)),
                both,
                Some((OPEN, OTHER)),
            ],
        ),
        (
            true,
            true,
            [None, Some((OPEN, OTHER)), Some((OTHER, OPEN)), None],
        ),
    ] {
        let material = Material {
            client_cas: ClientCas {
                client: with_client_ca.then(|| client_ca.pem().into_bytes()),
                scheduler: with_scheduler_ca.then(|| scheduler_ca.pem().into_bytes()),
            },
            ..server.material()
        };
        let store = CertificateStore::new(mk_files(), material).unwrap();
        for version in rustls::ALL_VERSIONS {
            for (client, expect) in clients.iter().zip(expect) {
                let config = client_config(&server.cert, client.as_ref(), &[version]);
                let access = handshake_with(&store, config).await.ok();
                let access = access.map(
                    |Access {
                         admission,
                         extender,
                     }| (admission, extender),
                );
                assert_eq!(
                    access, expect,
                    "{with_client_ca} {with_scheduler_ca} {version:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_pair_that_is_handed_over_goes_with_the_client_ca_of_the_file() {
    let (ours, theirs) = (mk_authority(), mk_authority());
    let [first, second] = [mk_pair(), mk_pair()];
    let mount = Mount::new(&first, Some(&ours.pem()));
    let source = Source {
        pair: PairSource::Secret {
            namespace: "ns".to_owned(),
            name: "berth-tls".to_owned(),
        },
        ..mount.files(true)
    };
    let material = Material {
        client_cas: source.read().unwrap().client_cas,
        ..first.material()
    };
    let store = CertificateStore::new(source, material).unwrap();
    let (known, stranger) = (mk_client(&ours), mk_client(&theirs));
    let offer = |pair: &Pair| store.offer_pair(pair.material().pair, SystemTime::now());
    assert_eq!(offer(&second).label(), "reloaded");
    assert_eq!(offer(&second).label(), "unchanged");
    assert!(store.serves(second.cert.as_bytes()) && !store.serves(first.cert.as_bytes()));
    handshake(&store, &second, Some(&known)).await.unwrap();
    handshake(&store, &second, Some(&stranger))
        .await
        .unwrap_err();

    // The file may change as well; the pair is the one that was handed over last.
    mount.swap("..next", &first, Some(&theirs.pem()));
    assert_eq!(store.reload().label(), "reloaded");
    handshake(&store, &second, Some(&stranger)).await.unwrap();

    let torn = Pair {
        key: first.key.clone(),
        ..second
    };
    let ReloadOutcome::Refused(error) = offer(&torn) else {
        panic!("it was not refused");
    };
    assert_eq!(
        error.to_string(),
        "the first certificate in certificate tls.crt of secret ns/berth-tls is not for the key in key tls.key of secret ns/berth-tls; mount a pair that was issued together, leaf first"
    );
}

#[tokio::test]
async fn both_protocol_versions_are_spoken() {
    let server = mk_pair();
    let store = mk_store(&server);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = client_config(&server.cert, None, &[version]);
        handshake_with(&store, client).await.unwrap();
    }
}

#[test]
fn debug_shows_no_key() {
    let pair = mk_pair();
    let store = mk_store(&pair);
    let empty = Pair {
        cert: String::new(),
        ..mk_pair()
    };
    store.offer_pair(empty.material().pair, SystemTime::now());
    let shown = format!("{store:?} {:?}", pair.material());
    assert!(!shown.contains("PRIVATE"), "{shown}");
    // Nor as a list of bytes.
    assert!(!shown.contains("45, 45, 45"), "{shown}");
}

struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    fn material(&self) -> Material {
        Material {
            pair: PemPair {
                cert: self.cert.clone().into_bytes(),
                key: self.key.clone().into_bytes(),
            },
            ..Material::default()
        }
    }
}

fn mk_pair() -> Pair {
    mk_pair_with(&KeyPair::generate().unwrap())
}

/// With a key from the test data.
fn mk_pair_of(pkcs8: &str) -> Pair {
    mk_pair_with(&KeyPair::from_pem(&pem("PRIVATE KEY", pkcs8)).unwrap())
}

fn mk_pair_with(key: &KeyPair) -> Pair {
    mk_pair_from(&mk_params(), key)
}

/// Valid from 2019 until the first day of `year`.
fn mk_pair_until(year: i32) -> Pair {
    mk_pair_between(2019, year)
}

/// Valid from the first day of one year to that of another.
fn mk_pair_between(from: i32, until: i32) -> Pair {
    let mut params = mk_params();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    mk_pair_from(&params, &KeyPair::generate().unwrap())
}

fn mk_params() -> CertificateParams {
    CertificateParams::new(["berth.test".to_owned()]).unwrap()
}

fn mk_pair_from(params: &CertificateParams, key: &KeyPair) -> Pair {
    Pair {
        cert: params.self_signed(key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn mk_authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn mk_client(issuer: &CertifiedIssuer<'_, KeyPair>) -> Pair {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    Pair {
        cert: params.signed_by(&key, issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// A leaf that a CA signed.
fn mk_issued(issuer: &CertifiedIssuer<'_, KeyPair>, params: &CertificateParams) -> Pair {
    let key = KeyPair::generate().unwrap();
    Pair {
        cert: params.signed_by(&key, issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// What is said of a pair that is taken.
fn warnings(pair: &Pair, client_ca: Option<&str>) -> Vec<String> {
    let mount = Mount::new(pair, client_ca);
    let credentials = load(&mount.files(client_ca.is_some())).unwrap();
    let said = credentials.warnings.iter().map(ToString::to_string);
    let dir = mount.dir.path().to_string_lossy();
    said.map(|text| text.replace(&*dir, "DIR")).collect()
}

fn judge(store: &CertificateStore, pair: &Pair, now: SystemTime) -> ReloadOutcome {
    store.judge(Ok(pair.material().into()), now)
}

fn mk_store(pair: &Pair) -> CertificateStore {
    CertificateStore::new(mk_files(), pair.material()).unwrap()
}

fn load(source: &Source) -> Result<Credentials, TlsError> {
    Credentials::parse(source, &source.read()?)
}

fn mk_files() -> Source {
    Source {
        pair: PairSource::Files {
            cert: "/tls.crt".into(),
            key: "/tls.key".into(),
        },
        client_ca: None,
        scheduler_ca: None,
    }
}

fn days(count: u64) -> Duration {
    Duration::from_hours(24 * count)
}

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn load_error(cert: &str, key: &str, client_ca: Option<&str>) -> String {
    let pair = Pair {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let mount = Mount::new(&pair, client_ca);
    let error = load(&mount.files(client_ca.is_some())).unwrap_err();
    mount.without_dir(&error)
}

/// A secret as the kubelet mounts it.
struct Mount {
    dir: TempDir,
}

impl Mount {
    fn new(pair: &Pair, client_ca: Option<&str>) -> Self {
        let mount = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        mount.swap("..first", pair, client_ca);
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(Path::new("..data").join(name), mount.dir.path().join(name)).unwrap();
        }
        mount
    }

    /// Writes a new directory and puts it in place with one rename.
    fn swap(&self, name: &str, pair: &Pair, client_ca: Option<&str>) {
        let dir = self.dir.path();
        fs::create_dir_all(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("tls.crt"), &pair.cert).unwrap();
        fs::write(dir.join(name).join("tls.key"), &pair.key).unwrap();
        if let Some(client_ca) = client_ca {
            fs::write(dir.join(name).join("ca.crt"), client_ca).unwrap();
        }
        symlink(name, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    }

    fn files(&self, with_client_ca: bool) -> Source {
        let dir = self.dir.path();
        Source {
            pair: PairSource::Files {
                cert: dir.join("tls.crt"),
                key: dir.join("tls.key"),
            },
            client_ca: with_client_ca.then(|| dir.join("ca.crt")),
            scheduler_ca: None,
        }
    }

    fn without_dir(&self, error: &TlsError) -> String {
        error
            .to_string()
            .replace(&*self.dir.path().to_string_lossy(), "DIR")
    }
}

/// Whether a new connection is shown the certificate of `server` and lets the client in.
async fn handshake(
    store: &CertificateStore,
    server: &Pair,
    client: Option<&Pair>,
) -> std::io::Result<()> {
    // Trusts nothing else, so another certificate fails the handshake.
    let config = client_config(&server.cert, client, rustls::ALL_VERSIONS);
    handshake_with(store, config).await.map(drop)
}

async fn handshake_with(store: &CertificateStore, client: ClientConfig) -> std::io::Result<Access> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let credentials = store.credentials();
        let acceptor = TlsAcceptor::from(Arc::clone(&credentials.config));
        let mut stream = acceptor.accept(ours).await?;
        stream.write_all(b"welcome").await?;
        stream.shutdown().await?;
        Ok(credentials.access(stream.get_ref().1))
    };
    let connect = async {
        let name = ServerName::try_from("berth.test").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name, theirs).await?;
        // In TLS 1.3 only this tells whether the server took the client's certificate.
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        assert_eq!(said, "welcome");
        Ok(())
    };
    let (served, connected) = tokio::join!(serve, connect);
    connected.and(served)
}

fn client_config(
    trusted: &str,
    client: Option<&Pair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match client {
        Some(Pair { cert, key }) => builder
            .with_client_auth_cert(
                vec![der(cert)],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}
