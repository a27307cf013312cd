//! The credentials in use, and taking new ones when the files change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use time::OffsetDateTime;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::{ClientCas, Credentials, Material, PairSource, PemPair, Role, Source, TlsError};

/// Holds the credentials for new connections; a connection keeps those it began with.
///
/// Files are polled by content. That sees every way they can change, the kubelet's swap of
/// the `..data` symlink included, which a watch on the file itself misses, and it needs no
/// inotify instance, of which a node has few.
#[derive(Debug)]
pub struct CertificateStore {
    source: Source,
    current: ArcSwap<Credentials>,
    // Also serialises reloads.
    seen: Mutex<Seen>,
}

/// The outcome of reading the files again.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// Nothing new: the files hold what is in use, or what was refused at the last look.
    Unchanged,
    /// New credentials are in use for new connections.
    Reloaded {
        /// When the new leaf expires.
        not_after: SystemTime,
    },
    /// The files hold something new that cannot be used; the old credentials stay in use.
    Refused(TlsError),
}

impl ReloadOutcome {
    /// The labels of outcomes that change or should have changed something.
    pub const CHANGES: [&str; 2] = ["reloaded", "refused"];

    /// The value for a metric label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Reloaded { .. } => "reloaded",
            Self::Refused(_) => "refused",
        }
    }
}

/// What is new of the credentials; what is `None` stays as it is.
pub(super) struct Update {
    pair: Option<PemPair>,
    client_cas: Option<ClientCas>,
}

impl From<Material> for Update {
    fn from(Material { pair, client_cas }: Material) -> Self {
        Self {
            pair: Some(pair),
            client_cas: Some(client_cas),
        }
    }
}

#[derive(Debug)]
struct Seen {
    /// What the credentials in use were made of.
    taken: Material,
    /// What was refused last, so that it is reported once.
    refused: Option<Refusal>,
}

#[derive(Debug, PartialEq)]
struct Refusal {
    /// `None` if the files could not be read.
    material: Option<Material>,
    message: String,
}

impl CertificateStore {
    /// Loads the files for the first time. An expired leaf is served, with a warning: a server
    /// that is up and says why its clients fail is better than one that does not start.
    pub fn open(source: Source) -> Result<Self, TlsError> {
        let material = source.read()?;
        Self::new(source, material)
    }

    /// As [`Self::open`], with material that is at hand; a later pair comes by [`Self::offer_pair`].
    pub fn new(source: Source, material: Material) -> Result<Self, TlsError> {
        let credentials = Credentials::parse(&source, &material)?;
        warn_of_trouble(&source, &credentials, SystemTime::now());
        Ok(Self {
            source,
            current: ArcSwap::from_pointee(credentials),
            seen: Mutex::new(Seen {
                taken: material,
                refused: None,
            }),
        })
    }

    /// The credentials for a new connection, with what its client may call.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        self.current.load_full()
    }

    /// When the leaf in use expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.current.load().not_after
    }

    /// Looks at the files once. Blocks on the file system.
    pub fn reload(&self) -> ReloadOutcome {
        let update = self.source.read().map(|read| match self.source.pair {
            PairSource::Files { .. } => Update::from(read),
            PairSource::Secret { .. } => Update {
                pair: None,
                ..read.into()
            },
        });
        self.judge(update, SystemTime::now())
    }

    /// Takes another certificate and key beside the client authorities in use, by a clock of the
    /// caller's.
    pub fn offer_pair(&self, pair: PemPair, now: SystemTime) -> ReloadOutcome {
        let update = Update {
            pair: Some(pair),
            client_cas: None,
        };
        self.judge(Ok(update), now)
    }

    /// Whether this certificate is in use.
    #[must_use]
    pub fn serves(&self, cert: &[u8]) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.taken.pair.cert == cert
    }

    /// Looks at the files every `interval`, for ever, and calls `observe` for each change: for
    /// [`ReloadOutcome::Reloaded`] and, once per distinct content, [`ReloadOutcome::Refused`].
    pub async fn run(self: Arc<Self>, interval: Duration, observe: impl Fn(&ReloadOutcome)) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await; // the first comes at once, right after the files were loaded
        loop {
            ticks.tick().await;
            let store = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || store.reload()).await {
                Ok(ReloadOutcome::Unchanged) => {}
                Ok(outcome) => observe(&outcome),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => return, // the runtime is going down
            }
        }
    }

    /// Refused material is judged anew at each look, as the verdict can change with the clock,
    /// and reported only if the content or the verdict is another one.
    pub(super) fn judge(&self, read: Result<Update, TlsError>, now: SystemTime) -> ReloadOutcome {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seen.taken.clone();
        let read = read.map(|Update { pair, client_cas }| Material {
            pair: pair.unwrap_or(taken.pair),
            client_cas: client_cas.unwrap_or(taken.client_cas),
        });
        let material = match read {
            Ok(material) if material == seen.taken => {
                seen.refused = None;
                return ReloadOutcome::Unchanged;
            }
            Ok(material) => material,
            Err(error) => return seen.refuse(None, error),
        };
        match self.check(&material, now) {
            Ok(credentials) => {
                warn_of_trouble(&self.source, &credentials, now);
                let not_after = credentials.not_after;
                self.current.store(Arc::new(credentials));
                *seen = Seen {
                    taken: material,
                    refused: None,
                };
                let cert = self.source.part(Role::Certificate).place;
                info!(%cert, not_after = utc(not_after), "took new certificate");
                ReloadOutcome::Reloaded { not_after }
            }
            Err(error) => seen.refuse(Some(material), error),
        }
    }

    fn check(&self, material: &Material, now: SystemTime) -> Result<Credentials, TlsError> {
        let credentials = Credentials::parse(&self.source, material)?;
        let in_use_is_valid = {
            let current = self.current.load();
            (current.not_before..=current.not_after).contains(&now)
        };
        let part = self.source.part(Role::Certificate);
        if in_use_is_valid && now < credentials.not_before {
            let from = utc(credentials.not_before);
            return Err(TlsError::NotYetValid(part, from));
        }
        if in_use_is_valid && credentials.not_after < now {
            return Err(TlsError::Expired(part, utc(credentials.not_after)));
        }
        Ok(credentials)
    }
}

impl Seen {
    fn refuse(&mut self, material: Option<Material>, error: TlsError) -> ReloadOutcome {
        let refusal = Some(Refusal {
            material,
            message: error.to_string(),
        });
        if self.refused == refusal {
            return ReloadOutcome::Unchanged;
        }
        self.refused = refusal;
        warn!(%error, "refused new certificate, the old one stays in use");
        ReloadOutcome::Refused(error)
    }
}

fn warn_of_trouble(source: &Source, credentials: &Credentials, now: SystemTime) {
    for warning in &credentials.warnings {
        warn!("{warning}");
    }
    let cert = source.part(Role::Certificate).place;
    if credentials.not_after < now {
        warn!(%cert, not_after = utc(credentials.not_after), "certificate has expired, clients will refuse it until it is renewed");
    } else if now < credentials.not_before {
        warn!(%cert, not_before = utc(credentials.not_before), "certificate is not valid yet, check the clock of this node");
    }
}

/// To the second, as in RFC 3339.
pub(crate) fn utc(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
