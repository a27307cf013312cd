//! Certificates that berth manages by itself, at an API server.
//!
//! Replicas share a clock that the test sets; a client that trusts the published `caBundle` and
//! nothing else goes by it as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use berth::pki::bundle::{ConfigurationId, ConfigurationKind};
use berth::pki::contents::{self, Found};
use berth::pki::decide::CertificatePolicy;
use berth::pki::round::Task;
use berth::pki::state::{Leaf, State};
use berth::pki::{CertificateController, Clock, ControllerConfig, Event};
use berth::tls::{CertificateStore, HostName, Material, PairSource, PemPair, Source};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::apiserver::{ApiServer, Fault, Verb};
use crate::process::PATIENCE;

const NAMESPACE: &str = "berth-system";
const SECRET: &str = "berth-tls";
const CONFIGURATIONS: &str = "mutatingwebhookconfigurations";
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// An API server, and what the replicas at it go by.
struct World {
    server: ApiServer,
    clock: TestClock,
}

impl World {
    /// A webhook configuration that nobody has filled yet, beside one of somebody else.
    fn new() -> Self {
        let server = ApiServer::start();
        server.apply(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
        }));
        server.apply(configuration("berth", &["vmi", "template"]));
        server.apply(configuration("virt-api-mutator", &["theirs"]));
        Self {
            server,
            clock: TestClock::new(),
        }
    }

    async fn client(&self) -> Client {
        let dir = tempfile::tempdir().unwrap();
        let file = Kubeconfig::read_from(self.server.kubeconfig(dir.path())).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(file, &options);
        Client::try_from(config.await.unwrap()).unwrap()
    }

    /// A replica that keeps certificates, and serves once it has one.
    async fn begin(&self) -> Replica {
        self.begin_with(mk_task()).await
    }

    async fn begin_with(&self, task: Task) -> Replica {
        let told = Arc::new(Told::default());
        let listener = Arc::clone(&told);
        let config = ControllerConfig {
            task,
            clock: self.clock.of(),
            poll: Duration::from_millis(5),
        };
        let mut controller =
            CertificateController::new(&self.client().await, config, move |event| {
                listener.hear(event);
            });
        let store = Arc::new(Mutex::new(None));
        let served = Arc::clone(&store);
        let task = tokio::spawn(async move {
            let first = controller.first().await;
            let source = Source {
                pair: PairSource::Secret {
                    namespace: NAMESPACE.to_owned(),
                    name: SECRET.to_owned(),
                },
                client_ca: None,
                scheduler_ca: None,
            };
            let material = Material {
                pair: PemPair::from(&first),
                ..Material::default()
            };
            let store = Arc::new(CertificateStore::new(source, material).unwrap());
            *served.lock().unwrap() = Some(Arc::clone(&store));
            let serve = move |leaf: &Leaf, now| {
                let pair = PemPair::from(leaf);
                store.offer_pair(pair.clone(), now);
                store.serves(&pair.cert)
            };
            controller.run(serve).await;
        });
        Replica { store, told, task }
    }

    async fn start(&self) -> Replica {
        self.start_with(mk_task()).await
    }

    async fn start_with(&self, task: Task) -> Replica {
        let replica = self.begin_with(task).await;
        until("the first certificate", || replica.is_serving()).await;
        replica
    }

    fn secret(&self) -> Option<Value> {
        self.server.get("secrets", Some(NAMESPACE), SECRET)
    }

    /// What the Secret holds, which has to be whole.
    fn found(&self) -> Option<Found> {
        let secret: Secret = serde_json::from_value(self.secret()?).unwrap();
        contents::read(&secret).ok()
    }

    /// The number of CAs in the Secret, if nothing is wrong with it.
    fn cas(&self) -> usize {
        self.found()
            .filter(|found| found.defects.is_empty())
            .map_or(0, |found| found.state.bundle.len())
    }

    fn bundles(&self, configuration: &str) -> Vec<Option<String>> {
        self.bundles_of(CONFIGURATIONS, configuration)
    }

    fn bundles_of(&self, resource: &str, configuration: &str) -> Vec<Option<String>> {
        let found = self.server.get(resource, None, configuration);
        let webhooks = found.unwrap()["webhooks"].as_array().unwrap().clone();
        webhooks
            .iter()
            .map(|webhook| {
                let bundle = webhook["clientConfig"]["caBundle"].as_str()?;
                Some(String::from_utf8(BASE64_STANDARD.decode(bundle).unwrap()).unwrap())
            })
            .collect()
    }

    /// Whether every webhook trusts exactly what the Secret does.
    fn is_published(&self) -> bool {
        let Some(found) = self.found() else {
            return false;
        };
        let wanted: Vec<String> = found
            .state
            .bundle
            .iter()
            .map(|trusted| trusted.authority.id.pem())
            .collect();
        let bundles = self.bundles("berth");
        !wanted.is_empty()
            && bundles.iter().all(|bundle| {
                bundle.as_ref().is_some_and(|bundle| {
                    wanted.iter().all(|ca| bundle.contains(ca))
                        && bundle.matches("BEGIN").count() == wanted.len()
                })
            })
    }

    /// Writes into an object as somebody else does.
    fn edit(&self, resource: &str, namespace: Option<&str>, name: &str, edit: impl Fn(&mut Value)) {
        let mut object = self.server.get(resource, namespace, name).unwrap();
        edit(&mut object);
        self.server.apply(object);
    }

    fn edit_bundles(&self, bundle: Option<&str>) {
        self.edit(CONFIGURATIONS, None, "berth", |object| {
            for webhook in object["webhooks"].as_array_mut().unwrap() {
                webhook["clientConfig"]["caBundle"] =
                    bundle.map_or(Value::Null, |pem| BASE64_STANDARD.encode(pem).into());
            }
        });
    }

    /// What a client says that trusts the bundle of the first webhook and nothing else.
    async fn handshake(&self, replica: &Replica) -> std::io::Result<()> {
        let bundle = self.bundles("berth").remove(0).unwrap_or_default();
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(ca.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let time = Arc::new(self.clock.clone());
        let config = rustls::ClientConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("berth.berth-system.svc").unwrap();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let served = Arc::clone(&replica.store().credentials().config);
        let acceptor = TlsAcceptor::from(served);
        let connector = TlsConnector::from(Arc::new(config));
        let (served, connected) =
            tokio::join!(acceptor.accept(ours), connector.connect(name, theirs));
        connected.map(drop).and(served.map(drop))
    }
}

/// The clock of everybody.
#[derive(Clone, Debug)]
struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::now())))
    }

    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }

    fn pass(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }

    fn of(&self) -> Clock {
        let clock = self.clone();
        Clock::of(move || clock.now())
    }
}

impl TimeProvider for TestClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

struct Replica {
    store: Arc<Mutex<Option<Arc<CertificateStore>>>>,
    told: Arc<Told>,
    task: JoinHandle<()>,
}

impl Replica {
    fn is_serving(&self) -> bool {
        assert!(!self.task.is_finished(), "a replica has ended");
        self.store.lock().unwrap().is_some()
    }

    fn store(&self) -> Arc<CertificateStore> {
        let store = self.store.lock().unwrap();
        Arc::clone(store.as_ref().expect("it serves"))
    }

    /// Whether it serves the leaf of the Secret.
    fn serves(&self, found: &Found) -> bool {
        let leaf = found.state.leaf.as_ref();
        leaf.is_some_and(|leaf| self.store().serves(leaf.certificate.id.pem().as_bytes()))
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a controller has told of.
#[derive(Default)]
struct Told {
    /// How often, by what it was.
    counts: Mutex<BTreeMap<String, usize>>,
    errors: Mutex<Vec<String>>,
}

impl Told {
    fn hear(&self, event: &Event) {
        let names = match event {
            Event::Wrote { changes, .. } => changes.iter().map(ToString::to_string).collect(),
            Event::Published { why, .. } => vec![why.as_ref().to_owned()],
            Event::Absent { configuration } => vec![format!("absent: {configuration}")],
            Event::Failed(error) => {
                self.errors.lock().unwrap().push(error.to_string());
                vec![error.label().to_owned()]
            }
            Event::Holds { .. } => vec!["round".to_owned()],
        };
        let mut counts = self.counts.lock().unwrap();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
    }

    fn count(&self, what: &str) -> usize {
        let counts = self.counts.lock().unwrap();
        counts.get(what).copied().unwrap_or_default()
    }

    fn has_error(&self, text: &str) -> bool {
        let errors = self.errors.lock().unwrap();
        errors.iter().any(|error| error == text)
    }

    fn errors(&self) -> String {
        format!("{:#?}", self.errors.lock().unwrap())
    }

    /// Waits for whole rounds that began after now.
    async fn rounds(&self) {
        let before = self.count("round");
        until("more rounds", || self.count("round") > before + 2).await;
    }
}

fn mk_task() -> Task {
    Task {
        namespace: NAMESPACE.to_owned(),
        secret: SECRET.to_owned(),
        configurations: vec![mk_id(ConfigurationKind::Mutating)],
        policy: CertificatePolicy {
            names: HostName::of_service("berth", NAMESPACE).unwrap(),
            leaf_lifetime: 30 * DAY,
            ca_lifetime: 3600 * DAY,
            jitter: 0.0,
        },
    }
}

fn mk_id(kind: ConfigurationKind) -> ConfigurationId {
    let name = "berth".to_owned();
    ConfigurationId { kind, name }
}

fn configuration(name: &str, webhooks: &[&str]) -> Value {
    let webhooks: Vec<Value> = webhooks
        .iter()
        .map(|name| {
            json!({
                "name": format!("{name}.berth.dev"),
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": { "service": { "namespace": NAMESPACE, "name": "berth" } },
                "aFieldOfTomorrow": { "kept": true },
            })
        })
        .collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name },
        "webhooks": webhooks,
    })
}

/// A CA of somebody else, in PEM.
fn foreign_ca() -> String {
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_make_one_ca_and_publish_it() {
    let world = World::new();
    let [first, second, third] = [
        world.begin().await,
        world.begin().await,
        world.begin().await,
    ];
    let replicas = [&first, &second, &third];
    until("all certificates", || {
        replicas.iter().all(|replica| replica.is_serving())
    })
    .await;
    let found = world.found().unwrap();
    assert_eq!((found.state.bundle.len(), &found.defects[..]), (1, &[][..]));
    assert!(world.is_published());
    for replica in replicas {
        assert!(replica.serves(&found));
        world.handshake(replica).await.unwrap();
    }
    let made = |what| replicas.iter().map(|it| it.told.count(what)).sum::<usize>();
    assert_eq!(made("made a ca (first)"), 1);
    assert_eq!(made("issued a leaf (first)"), 1);
    assert_eq!(made("rotated"), 1);
    assert_eq!(made("repaired"), 0);

    let secret = world.secret().unwrap();
    assert_eq!(
        secret["metadata"]["labels"],
        json!({ "app.kubernetes.io/managed-by": "berth" })
    );
    assert_eq!(secret["type"], "Opaque");
    // What berth does not know of a webhook is still there, and others' webhooks are not touched.
    let written = world.server.get(CONFIGURATIONS, None, "berth").unwrap();
    for (own, name) in written["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["vmi", "template"])
    {
        let mut own = own.clone();
        own["clientConfig"]
            .as_object_mut()
            .unwrap()
            .remove("caBundle");
        assert_eq!(own, configuration("berth", &[name])["webhooks"][0]);
    }
    assert_eq!(world.bundles("virt-api-mutator"), [None]);
    let patched = world.server.count(|request| {
        request.verb == Verb::Patch && request.name != "berth" && request.resource == CONFIGURATIONS
    });
    assert_eq!(patched, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_comes_back_as_it_was() {
    let world = World::new();
    let replica = world.start().await;
    let before = world.found().unwrap();
    world.server.delete("secrets", Some(NAMESPACE), SECRET);
    until("the secret", || world.found().is_some()).await;
    assert_eq!(world.found().unwrap(), before);
    assert!(replica.serves(&before));
    until("its count", || {
        replica.told.count("put back what was lost") == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anybody_who_knows_it_a_new_ca_is_trusted_beside_the_old_one() {
    let world = World::new();
    let old = world.start().await;
    let before = world.found().unwrap();
    // Another replica is faster than the one that knows.
    world.server.deny(Verb::Create, "secrets");
    world.server.delete("secrets", Some(NAMESPACE), SECRET);
    until("the refusal", || old.told.count("forbidden") > 0).await;
    let other = World::new();
    let _theirs = other.start().await;
    let mut secret = other.secret().unwrap();
    let metadata = secret["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| ["name", "namespace", "labels"].contains(&&**field));
    world.server.apply(secret);

    until("both cas", || world.cas() == 2 && world.is_published()).await;
    let after = world.found().unwrap();
    assert!(after.state.bundle.contains(&before.state.bundle[0]));
    assert_eq!(old.told.count("made a ca (lost)"), 0);
    world.handshake(&old).await.unwrap();
    // API servers may hear of the new CA one after the other.
    until("the new leaf", || {
        // It is timed from when the replica saw it, which is a moment later.
        world.clock.pass(Duration::from_secs(1));
        old.serves(&after)
    })
    .await;
    world.handshake(&old).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_secret_is_repaired_and_nobody_notices() {
    let world = World::new();
    let replica = world.start().await;
    let before = world.found().unwrap();
    for part in contents::Part::ALL {
        for junk in [
            json!(null),
            json!(""),
            json!(BASE64_STANDARD.encode("junk")),
        ] {
            let is_optional = part == contents::Part::NextKey && junk.is_null();
            if is_optional {
                continue;
            }
            world.edit("secrets", Some(NAMESPACE), SECRET, |secret| {
                let data = secret["data"].as_object_mut().unwrap();
                match &junk {
                    Value::Null => drop(data.remove(part.name())),
                    junk => drop(data.insert(part.name().to_owned(), junk.clone())),
                }
            });
            until(part.name(), || {
                world.found().is_some_and(|found| found.defects.is_empty())
            })
            .await;
            let after = world.found().unwrap();
            assert_eq!(after.state.signer, before.state.signer, "{part:?}");
            assert_eq!(after.state.leaf, before.state.leaf, "{part:?}");
            world.handshake(&replica).await.unwrap();
        }
    }
    // Without anybody who knows how it was, everything is new.
    drop(replica);
    world.edit("secrets", Some(NAMESPACE), SECRET, |secret| {
        for (_, value) in secret["data"].as_object_mut().unwrap() {
            *value = BASE64_STANDARD.encode("junk").into();
        }
    });
    let fresh = world.start().await;
    assert_ne!(world.found().unwrap().state.signer, before.state.signer);
    world.handshake(&fresh).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_left_alone() {
    let world = World::new();
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": SECRET, "namespace": NAMESPACE,
            "annotations": { "cert-manager.io/certificate-name": "berth" },
        },
        "type": "kubernetes.io/tls",
        "data": { "tls.crt": "", "tls.key": "" },
    });
    world.server.apply(foreign);
    let before = world.secret();
    let replica = world.begin().await;
    let expect = "secret berth-system/berth-tls is not berth's: it has the annotation cert-manager.io/certificate-name; name another with --tls-secret, or delete this one, or label it app.kubernetes.io/managed-by: berth where berth may overwrite it";
    until("the error", || replica.told.has_error(expect)).await;
    replica.told.rounds().await;
    assert_eq!(world.secret(), before);
    assert_eq!(world.bundles("berth"), [None, None]);
    assert!(!replica.is_serving());

    // It goes on as soon as that is put right.
    world.server.delete("secrets", Some(NAMESPACE), SECRET);
    until("the first certificate", || replica.is_serving()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_secret_is_served_and_not_written() {
    let world = World::new();
    let first = world.start().await;
    world.edit("secrets", Some(NAMESPACE), SECRET, |secret| {
        secret["immutable"] = true.into();
    });
    let before = world.secret();
    drop(first);
    let replica = world.start().await;
    assert!(replica.serves(&world.found().unwrap()));
    world.handshake(&replica).await.unwrap();
    world.clock.pass(21 * DAY);
    replica.told.rounds().await;
    assert_eq!(world.secret(), before);
    world.handshake(&replica).await.unwrap();
    assert!(replica.told.count("read_only_secret") > 0);
    assert_eq!(replica.told.count("foreign_secret"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_create_the_secret_that_the_manifests_bring_is_filled() {
    let world = World::new();
    world.server.deny(Verb::Create, "secrets");
    let replica = world.begin().await;
    until("the refusal", || replica.told.count("forbidden") > 0).await;
    let shipped = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": SECRET, "namespace": NAMESPACE,
            "labels": { "app.kubernetes.io/managed-by": "berth", "app.kubernetes.io/part-of": "berth" },
        },
        "type": "Opaque",
    });
    world.server.apply(shipped.clone());
    until("the first certificate", || replica.is_serving()).await;
    world.handshake(&replica).await.unwrap();
    let before = world.found().unwrap();
    // Deleted and brought again, it is filled with what was there.
    world.server.delete("secrets", Some(NAMESPACE), SECRET);
    replica.told.rounds().await;
    world.handshake(&replica).await.unwrap();
    world.server.apply(shipped);
    until("the secret", || {
        world.found().is_some_and(|found| found == before)
    })
    .await;
    world.handshake(&replica).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_somebody_changes_is_repaired() {
    let world = World::new();
    let replica = world.start().await;
    let foreign = foreign_ca();
    for (count, bundle) in [None, Some(""), Some("junk")].into_iter().enumerate() {
        world.edit_bundles(bundle);
        until("the repair", || world.is_published()).await;
        until("its count", || replica.told.count("repaired") == count + 1).await;
        world.handshake(&replica).await.unwrap();
    }

    // Another CA may be somebody's who still needs it, and goes in an hour.
    world.edit_bundles(Some(&foreign));
    until("the own ca", || {
        let bundles = world.bundles("berth");
        let own = &world.found().unwrap().state.bundle[0].authority.id.pem();
        bundles
            .iter()
            .all(|bundle| bundle.as_ref().is_some_and(|bundle| bundle.contains(own)))
    })
    .await;
    world.handshake(&replica).await.unwrap();
    replica.told.rounds().await;
    assert!(
        world.bundles("berth")[0]
            .as_ref()
            .unwrap()
            .contains(&foreign)
    );
    world.clock.pass(HOUR);
    until("the end of the foreign ca", || world.is_published()).await;

    // A webhook that is new, in another place, and a configuration that is deleted and made again.
    world.edit(CONFIGURATIONS, None, "berth", |object| {
        let fresh = configuration("berth", &["fresh"])["webhooks"][0].clone();
        object["webhooks"].as_array_mut().unwrap().insert(0, fresh);
    });
    until("the new webhook", || {
        world.bundles("berth").len() == 3 && world.is_published()
    })
    .await;
    world.server.delete(CONFIGURATIONS, None, "berth");
    replica.told.rounds().await;
    world.server.apply(configuration("berth", &["again"]));
    until("the new configuration", || world.is_published()).await;
    assert_eq!(world.bundles("virt-api-mutator"), [None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validating_configuration_may_come_later_and_is_filled_and_repaired() {
    const VALIDATING: &str = "validatingwebhookconfigurations";
    let world = World::new();
    let mut task = mk_task();
    task.configurations
        .push(mk_id(ConfigurationKind::Validating));
    let replica = world.start_with(task).await;
    let mut validating = configuration("berth", &["migration"]);
    validating["kind"] = "ValidatingWebhookConfiguration".into();
    let is_filled = || {
        let [own] = &world.bundles_of(VALIDATING, "berth")[..] else {
            return false;
        };
        own.is_some() && *own == world.bundles("berth")[0]
    };
    world.server.apply(validating);
    until("the bundle", is_filled).await;
    world.edit(VALIDATING, None, "berth", |object| {
        object["webhooks"][0]["clientConfig"]["caBundle"] = Value::Null;
    });
    until("the repaired bundle", is_filled).await;
    until("its count", || replica.told.count("repaired") == 1).await;
    assert_eq!(replica.told.errors(), "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_somebody_else_manages_is_left_to_them() {
    let world = World::new();
    let mut contested = configuration("berth", &["vmi"]);
    contested["metadata"]["annotations"] = json!({ "cert-manager.io/inject-ca-from": "a/b" });
    world.server.apply(contested);
    let replica = world.begin().await;
    let expect = "mutatingwebhookconfiguration berth has the annotation cert-manager.io/inject-ca-from, whose manager writes the same caBundle: remove the annotation, or leave the configuration out of tls.managed.webhookConfigurations";
    until("the error", || replica.told.has_error(expect)).await;
    assert_eq!(world.bundles("berth"), [None]);
    assert!(!replica.is_serving());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_is_renewed_at_two_thirds_of_its_life_by_one_for_all() {
    let world = World::new();
    let replicas = [world.start().await, world.start().await];
    let first = world.found().unwrap();
    world.clock.pass(19 * DAY);
    for replica in &replicas {
        replica.told.rounds().await;
    }
    assert_eq!(world.found().unwrap(), first);
    world.clock.pass(DAY + Duration::from_secs(1));
    until("the next leaf", || {
        let found = world.found().unwrap();
        found != first && replicas.iter().all(|replica| replica.serves(&found))
    })
    .await;
    let second = world.found().unwrap();
    assert_eq!(second.state.signer, first.state.signer);
    let made = replicas
        .iter()
        .map(|it| it.told.count("issued a leaf (renewal)"));
    assert_eq!(made.sum::<usize>(), 1);
    for replica in &replicas {
        world.handshake(replica).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_rotation_of_the_ca_every_client_of_the_bundle_is_served() {
    let world = World::new();
    let mut task = mk_task();
    task.policy.ca_lifetime = 360 * DAY;
    let replicas = [
        world.start_with(task.clone()).await,
        world.start_with(task).await,
    ];
    let old = world.found().unwrap().state.bundle[0].authority.id.clone();
    let mut steps: Vec<(u32, usize, bool)> = Vec::new();
    for day in (0..340).step_by(5) {
        until("the replicas", || {
            let found = world.found().unwrap();
            let leaf = found.state.leaf.as_ref().unwrap();
            let due = leaf.certificate.validity.not_after - 10 * DAY;
            world.clock.now() < due && replicas.iter().all(|replica| replica.serves(&found))
        })
        .await;
        for replica in &replicas {
            replica.told.rounds().await;
            world.handshake(replica).await.unwrap();
        }
        let State { bundle, leaf, .. } = world.found().unwrap().state;
        let step = (bundle.len(), leaf.unwrap().issuer == old);
        if steps.last().is_none_or(|last| (last.1, last.2) != step) {
            steps.push((day, step.0, step.1));
        }
        world.clock.pass(5 * DAY);
    }
    // One CA; another beside it; the other signs; the first is gone with its last leaf.
    let [first, second, third, last] = steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!(first, (0, 1, true));
    assert_eq!(second, (240, 2, true));
    assert_eq!(third, (300, 2, false));
    assert!((305..=335).contains(&last.0), "{steps:?}");
    assert_eq!((last.1, last.2), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_named_with_verb_resource_and_role() {
    let roles = "of berth's manifests, and see that its binding names berth's service account";
    let secrets = "secrets berth-tls in namespace berth-system";
    let configurations = "mutatingwebhookconfigurations.admissionregistration.k8s.io berth";
    for (verb, resource, text) in [
        (
            Verb::Get,
            "secrets",
            format!("not allowed to get {secrets}: apply the Role berth-tls {roles}"),
        ),
        (
            Verb::Create,
            "secrets",
            format!(
                "not allowed to create {secrets}: apply berth's manifests, which bring berth-tls in namespace berth-system empty for berth to fill (secrets is forbidden: User "
            ),
        ),
        (
            Verb::Get,
            CONFIGURATIONS,
            format!(
                "not allowed to get {configurations}: apply the ClusterRole berth-webhook {roles}"
            ),
        ),
        (
            Verb::Patch,
            CONFIGURATIONS,
            format!(
                "not allowed to patch {configurations}: apply the ClusterRole berth-webhook {roles}"
            ),
        ),
    ] {
        let world = World::new();
        world.server.deny(verb, resource);
        let replica = world.begin().await;
        until(&text, || replica.told.errors().contains(&text)).await;
        replica.told.rounds().await;
        assert!(!replica.is_serving(), "{text}");
        world.server.allow(verb, resource);
        until("the first certificate", || replica.is_serving()).await;
        world.handshake(&replica).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admission_denies_is_named_with_its_own_remedy() {
    let secret = "the api server refuses to create secret berth-system/berth-tls: secrets \"berth-tls\" is forbidden:";
    let configuration = "the api server refuses to patch mutatingwebhookconfiguration berth:";
    for (denial, verb, resource, cause, text) in [
        (
            Fault::over_quota(),
            Verb::Create,
            "secrets",
            "quota_exceeded",
            format!(
                "{secret} exceeded quota: objects, requested: count/secrets=1, used: count/secrets=10, limited: count/secrets=10 (status 403); raise the ResourceQuota of the namespace, or delete what it counts"
            ),
        ),
        (
            Fault::in_terminating_namespace(),
            Verb::Create,
            "secrets",
            "namespace_terminating",
            format!(
                "{secret} unable to create new content in namespace berth-system because it is being terminated (status 403); the namespace is being deleted: see what keeps it, and install berth again once it is gone"
            ),
        ),
        (
            Fault::denied_by_policy(),
            Verb::Create,
            "secrets",
            "denied_by_policy",
            format!(
                "{secret} ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: an owner is missing (status 422); change the admission policy that is named, or leave berth's service account out of its binding"
            ),
        ),
        (
            Fault::denied_by_plugin(),
            Verb::Create,
            "secrets",
            "denied_by_admission",
            format!(
                "{secret} cannot set an ownerRef on a resource you can't delete: , <nil> (status 403); an admission plugin of the API server denies it, and no right changes that: see its configuration"
            ),
        ),
        // Not taken for a patch of another version, nor for another writer who was faster.
        (
            Fault::denied_by_webhook(422),
            Verb::Patch,
            CONFIGURATIONS,
            "denied_by_webhook",
            format!(
                "{configuration} admission webhook \"owners.example.com\" denied the request: an owner is missing (status 422); change the policy behind the admission webhook that is named, or leave berth's namespace and service account out of it"
            ),
        ),
        (
            Fault::denied_by_webhook(409),
            Verb::Create,
            "secrets",
            "denied_by_webhook",
            "the api server refuses to create secret berth-system/berth-tls: admission webhook \"owners.example.com\" denied the request: an owner is missing (status 409); change the policy behind the admission webhook that is named, or leave berth's namespace and service account out of it".to_owned(),
        ),
    ] {
        let world = World::new();
        let fault = denial.verb(verb).resource(resource);
        world.server.fail(fault);
        let replica = world.begin().await;
        until(&text, || replica.told.has_error(&text)).await;
        assert!(replica.told.count(cause) > 0, "{cause}");
        assert_eq!(replica.told.count("forbidden"), 0, "{cause}");
        assert!(!replica.is_serving(), "{cause}");
        world.server.heal();
        until("the first certificate", || replica.is_serving()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_watch_changes_are_seen_all_the_same() {
    let world = World::new();
    for resource in ["secrets", CONFIGURATIONS] {
        world.server.deny(Verb::List, resource);
        world.server.deny(Verb::Watch, resource);
    }
    let replica = world.start().await;
    let text = "not allowed to list or watch secrets berth-tls in namespace berth-system";
    until(text, || replica.told.errors().contains(text)).await;
    world.edit_bundles(None);
    until("the repair", || world.is_published()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_writing_is_not_allowed_or_nobody_answers_what_is_served_goes_on() {
    let mut world = World::new();
    let replica = world.start().await;
    let first = world.found().unwrap();
    world.server.deny(Verb::Update, "secrets");
    world.clock.pass(21 * DAY);
    let text = "not allowed to update secrets berth-tls in namespace berth-system";
    until(text, || replica.told.errors().contains(text)).await;
    // Bundles are kept current meanwhile.
    world.edit_bundles(None);
    until("the repair", || world.is_published()).await;
    assert!(replica.serves(&first));
    world.handshake(&replica).await.unwrap();

    world.server.stop();
    until("that nobody answers", || {
        replica.told.count("unreachable") > 0
    })
    .await;
    assert!(replica.serves(&first));
    world.server.restart();
    world.server.fail(Fault::status(500).times(3));
    until("a refusal", || replica.told.count("refused") > 0).await;
    world.server.allow(Verb::Update, "secrets");
    until("the next leaf", || {
        world
            .found()
            .is_some_and(|found| found != first && replica.serves(&found))
    })
    .await;
    world.handshake(&replica).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_configuration_gets_no_patch_of_the_one_before() {
    let world = World::new();
    world
        .server
        .fail(Fault::status(409).verb(Verb::Patch).times(3));
    let replica = world.start().await;
    assert!(world.is_published());
    assert_eq!(replica.told.errors(), "[]");
    let patches = world.server.count(|request| request.verb == Verb::Patch);
    assert_eq!(patches, 4);

    world.server.fail(Fault::status(409).verb(Verb::Patch));
    world.edit_bundles(None);
    let expect = "mutatingwebhookconfiguration berth keeps changing while it is read and written: see who else writes it";
    until("the error", || replica.told.has_error(expect)).await;
    world.server.heal();
    until("the repair", || world.is_published()).await;
}

/// `berth serve` at this API server, and its log.
struct Program {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
    _dir: tempfile::TempDir,
}

impl Program {
    fn start(world: &World) -> Self {
        use std::io::BufRead;
        let dir = tempfile::tempdir().unwrap();
        let mut child = crate::process::berth()
            .args(["serve", "--log-format", "json", "--tls-secret", SECRET])
            .arg("--manage-certificates")
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .arg("--kubeconfig")
            .arg(world.server.kubeconfig(dir.path()))
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            _dir: dir,
        }
    }

    /// Waits for the log line whose message begins so.
    fn line(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect(message);
            assert!(!line.contains("PRIVATE KEY"), "{line}");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"].as_str().unwrap().starts_with(message) {
                return line;
            }
        }
    }

    fn end(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        let kill = std::process::Command::new("kill").arg(pid).status();
        assert!(kill.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_program_waits_for_leave_and_then_serves_what_the_bundle_trusts() {
    use crate::process::get;
    let mut world = World::new();
    world.clock = TestClock::new();
    world.edit(CONFIGURATIONS, None, "berth", |object| {
        // The stand-in's kubeconfig has no namespace.
        object["webhooks"][0]["clientConfig"]["service"]["namespace"] = "default".into();
    });
    world.server.deny(Verb::Create, "secrets");
    let program = Program::start(&world);
    // Before anything else, as this is no pod.
    let announced = program.line("outside a pod: ");
    assert_eq!(
        (&announced["message"], &announced["cluster"]),
        (
            &"outside a pod: berth writes secret default/berth-tls and the caBundle of webhook configuration berth of this cluster".into(),
            &format!("{}/", world.server.url()).into()
        )
    );
    let waiting = program.line("HTTPS is served once there is a certificate");
    let admin = waiting["admin"].as_str().unwrap().parse().unwrap();
    let refusal = program.line("cannot manage certificates: not allowed to create secrets");
    assert_eq!(
        (&refusal["level"], &refusal["cause"]),
        (&"ERROR".into(), &"forbidden".into())
    );
    // The cluster is got to know meanwhile.
    let missing = "not ready: HTTPS is not served yet (waiting for a certificate)\n";
    while get(admin, "/readyz") != (503, missing.to_owned()) {
        std::thread::yield_now();
    }
    assert_eq!(get(admin, "/livez").0, 200);
    let metric = |series: &str| -> f64 {
        let (_, text) = get(admin, "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(metric(r#"berth_tls_management_errors_total{cause="forbidden"}"#) >= 1.0);

    world.server.allow(Verb::Create, "secrets");
    let wrote = program.line("wrote certificates");
    assert_eq!(wrote["changes"], "made a ca (first); issued a leaf (first)");
    assert_eq!(wrote["secret"], "default/berth-tls");
    let serving = program.line("serving");
    while get(admin, "/readyz").0 != 200 {
        std::thread::yield_now();
    }
    assert_eq!(
        metric(r#"berth_tls_issued_total{cause="first",certificate="leaf"}"#),
        1.0
    );
    let ends = metric("berth_tls_certificate_expiry_timestamp_seconds");
    let ca_ends = metric("berth_tls_ca_expiry_timestamp_seconds");
    assert!(ca_ends - ends > 3600.0 * 24.0 * 3600.0);

    // By the bundle alone, and by the stanza for kube-scheduler that is made of ca.crt.
    let bundle = world.bundles("berth").remove(1).unwrap();
    let port = serving["https"]
        .as_str()
        .unwrap()
        .rsplit_once(':')
        .unwrap()
        .1;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, bundle).unwrap();
    if let Some(curl) = crate::tools::find("curl", "HTTPS by the published bundle") {
        let host = "berth.default.svc";
        let output = std::process::Command::new(curl)
            .args(["--silent", "--show-error", "--cacert"])
            .arg(&ca)
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
            .args(["--output", "/dev/null", "--write-out", "%{http_code}"])
            .arg(format!("https://{host}:{port}/mutate"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "405", "{output:?}");
    }
    let stanza = crate::process::berth()
        .args(["scheduler-config", "--ca"])
        .arg(&ca)
        .output()
        .unwrap();
    assert!(stanza.status.success(), "{stanza:?}");
    assert!(program.end().success());

    // A pod that is told to end while it waits does so.
    world.server.deny(Verb::Get, "secrets");
    let program = Program::start(&world);
    program.line("cannot manage certificates: not allowed to get secrets");
    assert!(program.end().success());
}
