//! The `caBundle` of a webhook configuration: what it trusts, and the patch that makes it current.
//!
//! What is missing is added at once. What is too much may be the CA of a leaf that another replica
//! still serves, or that an earlier way of managing certificates did, and is left for
//! [`LEFT_ALONE`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, TestOperation};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use strum::{Display, VariantArray};

use super::contents::CERT_MANAGER;
use super::decide::Published;
use super::state::State;
use super::time::{between, later};
use super::x509::{Id, LeafCertificate, base64, certificates};

/// How long a CA that is not berth's stays in a bundle.
pub const LEFT_ALONE: Duration = Duration::from_hours(1);

/// How long a CA has to be published before something new is signed by it: API servers see a
/// changed configuration one after the other.
pub const SETTLE: Duration = Duration::from_secs(10);

/// The most foreign CAs that are left alone in one bundle.
const MAX_STRAYS: usize = 8;

/// The kinds of webhook configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum ConfigurationKind {
    /// `MutatingWebhookConfiguration`.
    Mutating,
    /// `ValidatingWebhookConfiguration`.
    Validating,
}

impl ConfigurationKind {
    /// All kinds.
    pub const ALL: &[Self] = Self::VARIANTS;
}

/// A webhook configuration by its kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigurationId {
    /// Its kind.
    pub kind: ConfigurationKind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name } = self;
        write!(f, "{kind}webhookconfiguration {name}")
    }
}

/// A webhook configuration, as far as berth writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Its kind and name.
    pub id: ConfigurationId,
    /// The annotation of another manager that writes the same fields.
    pub contested: Option<String>,
    version: String,
    webhooks: Vec<Webhook>,
}

/// What was seen of a webhook configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It does not exist, so that no API server calls berth because of it.
    Absent,
    /// It could not be read.
    Unknown,
    /// It is there.
    There(Configuration),
}

impl From<Option<Configuration>> for Seen {
    fn from(configuration: Option<Configuration>) -> Self {
        configuration.map_or(Self::Absent, Self::There)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Webhook {
    name: String,
    trusts: BTreeSet<Id>,
    damaged: bool,
}

impl From<&MutatingWebhookConfiguration> for Configuration {
    fn from(configuration: &MutatingWebhookConfiguration) -> Self {
        let webhooks = configuration.webhooks.iter().flatten();
        let webhooks = webhooks.map(|webhook| Webhook::read(&webhook.name, &webhook.client_config));
        Self::read(
            ConfigurationKind::Mutating,
            &configuration.metadata,
            webhooks,
        )
    }
}

impl From<&ValidatingWebhookConfiguration> for Configuration {
    fn from(configuration: &ValidatingWebhookConfiguration) -> Self {
        let webhooks = configuration.webhooks.iter().flatten();
        let webhooks = webhooks.map(|webhook| Webhook::read(&webhook.name, &webhook.client_config));
        Self::read(
            ConfigurationKind::Validating,
            &configuration.metadata,
            webhooks,
        )
    }
}

impl Webhook {
    fn read(name: &str, client_config: &WebhookClientConfig) -> Self {
        let pem = client_config.ca_bundle.as_ref();
        let (trusts, damaged) = pem.map_or_else(Default::default, |pem| read_bundle(&pem.0));
        Self {
            name: name.to_owned(),
            trusts,
            damaged,
        }
    }
}

impl Configuration {
    /// What the API server has.
    fn read(
        kind: ConfigurationKind,
        metadata: &ObjectMeta,
        webhooks: impl Iterator<Item = Webhook>,
    ) -> Self {
        let mut annotations = metadata.annotations.iter().flatten();
        let name = metadata.name.clone().unwrap_or_default();
        Self {
            id: ConfigurationId { kind, name },
            contested: annotations
                .find(|(key, _)| key.starts_with(CERT_MANAGER))
                .map(|(key, _)| key.clone()),
            version: metadata.resource_version.clone().unwrap_or_default(),
            webhooks: webhooks.collect(),
        }
    }

    /// What all of its webhooks trust; nothing to say of one without webhooks.
    #[must_use]
    pub fn trusts(&self) -> Option<BTreeSet<Id>> {
        self.webhooks
            .iter()
            .map(|webhook| webhook.trusts.clone())
            .reduce(|all, own| &all & &own)
    }

    /// The patch that makes every webhook trust `wanted`, and nothing else but `strays`; `None` if
    /// they do.
    ///
    /// It tests the version that was read, so that it fits no other order of the webhooks, and each
    /// webhook's name, so that a reader of the patch sees which one it is for.
    #[must_use]
    pub fn patch(&self, wanted: &[Id], strays: &BTreeSet<Id>) -> Option<Patch> {
        let mut operations = vec![test(&["metadata", "resourceVersion"], &self.version)];
        for (index, webhook) in self.webhooks.iter().enumerate() {
            let stray = |id: &&Id| strays.contains(*id) && !wanted.contains(*id);
            let kept = webhook.trusts.iter().filter(stray);
            let goal: Vec<&Id> = wanted.iter().chain(kept).collect();
            let same = goal.iter().copied().cloned().collect::<BTreeSet<Id>>() == webhook.trusts;
            if same && !webhook.damaged {
                continue;
            }
            let index = index.to_string();
            let pem: String = goal.iter().map(|id| id.pem()).collect();
            operations.push(test(&["webhooks", &index, "name"], &webhook.name));
            operations.push(PatchOperation::Add(AddOperation {
                path: PointerBuf::from_tokens(["webhooks", &index, "clientConfig", "caBundle"]),
                value: Value::from(base64(pem.as_bytes())),
            }));
        }
        (operations.len() > 1).then_some(Patch(operations))
    }
}

fn test(path: &[&str], value: &str) -> PatchOperation {
    PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(path.iter().copied()),
        value: Value::from(value),
    })
}

/// The certificates of a bundle, and whether there is something else in it.
fn read_bundle(pem: &[u8]) -> (BTreeSet<Id>, bool) {
    let (found, mut damaged) = certificates(pem);
    let mut trusts = BTreeSet::new();
    for der in &found {
        // Go trusts a certificate of no CA as well, if it is the server's own.
        match LeafCertificate::read(der) {
            Some(certificate) => {
                trusts.insert(certificate.id);
            }
            None => damaged = true,
        }
    }
    damaged |= trusts.is_empty() && !pem.trim_ascii().is_empty();
    (trusts, damaged)
}

/// Keeps since when each of `seen` is there, and forgets the others.
fn note<K: Ord>(since: &mut BTreeMap<K, SystemTime>, seen: BTreeSet<K>, now: SystemTime) {
    since.retain(|key, _| seen.contains(key));
    for key in seen {
        since.entry(key).or_insert(now);
    }
}

/// The CAs to publish: those of the Secret, in its order.
#[must_use]
pub fn wanted(state: &State) -> Vec<Id> {
    state
        .bundle
        .iter()
        .map(|trusted| trusted.authority.id.clone())
        .collect()
}

/// What was seen in the webhook configurations over time.
#[derive(Clone, Debug, Default)]
pub struct ObservedBundles {
    /// Since when all configurations trust a CA.
    published: BTreeMap<Id, SystemTime>,
    /// Since when a configuration trusts a CA that is not in the Secret.
    strays: BTreeMap<(ConfigurationId, Id), SystemTime>,
    /// Whether a configuration was seen at all.
    any: bool,
}

impl ObservedBundles {
    /// Takes in what was seen of all configurations. Of one that could not be read, nothing is
    /// known to be trusted.
    pub fn observe(&mut self, seen: &[Seen], known: &[Id], now: SystemTime) {
        let trusts = seen.iter().filter_map(|seen| match seen {
            Seen::Absent => None,
            Seen::Unknown => Some(BTreeSet::new()),
            Seen::There(configuration) => configuration.trusts(),
        });
        let everywhere = trusts.reduce(|all, own| &all & &own);
        self.any = everywhere.is_some();
        let everywhere = everywhere.unwrap_or_default();
        note(&mut self.published, everywhere, now);

        let strays: BTreeSet<(ConfigurationId, Id)> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Absent | Seen::Unknown => None,
                Seen::There(configuration) => Some(configuration),
            })
            .flat_map(|configuration| {
                let trusted = configuration.webhooks.iter().flat_map(|hook| &hook.trusts);
                trusted
                    .filter(|id| !known.contains(id))
                    .map(|id| (configuration.id.clone(), id.clone()))
            })
            .collect();
        note(&mut self.strays, strays, now);
    }

    /// The CAs that all configurations trust, for [`SETTLE`] or, `at_once`, from when they were
    /// seen to.
    #[must_use]
    pub fn published(&self, now: SystemTime, at_once: bool) -> Published {
        if !self.any {
            return Published::Everything;
        }
        let settled = self
            .published
            .iter()
            .filter(|(_, since)| at_once || later(**since, SETTLE) <= now)
            .map(|(id, _)| id.clone());
        Published::These(settled.collect())
    }

    /// The CAs that a configuration trusts, are not in the Secret, and are left alone.
    #[must_use]
    pub fn strays(&self, configuration: &ConfigurationId, now: SystemTime) -> BTreeSet<Id> {
        let own = self.strays.iter().filter(|((of, id), since)| {
            let certificate = LeafCertificate::read(id.der());
            of == configuration
                && between(**since, now) < LEFT_ALONE
                && certificate.is_some_and(|certificate| !certificate.validity.is_over(now))
        });
        own.map(|((_, id), _)| id.clone())
            .take(MAX_STRAYS)
            .collect()
    }

    /// When time alone changes something.
    #[must_use]
    pub fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        let settled = self.published.values().map(|since| later(*since, SETTLE));
        let strays = self.strays.values().map(|since| later(*since, LEFT_ALONE));
        settled.chain(strays).filter(|time| now < *time).min()
    }
}
