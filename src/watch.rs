//! `berth watch`: follows the next migration of a VM, or the one that is under way, to its end.

mod copy;
mod print;

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use indicatif::ProgressBar;
use kube::Client;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch::{Receiver as Asked, channel as watch_channel};
use tokio::time::{Instant, interval, timeout_at};

use crate::api::client::{self, ClientError};
use crate::app::AppError;
use crate::app::southbound;
use crate::args::Watch;
use crate::args::fleet::WatchOutput;
use crate::check::cluster::config;
use crate::check::named_vm;
use crate::cluster::watch::{Scope, watch};
use crate::cluster::{ClusterView, Metrics, ObjectKind};
use crate::config::{Config, ConfigError, Refusal};
use crate::continuity::report::MigrationTimeline;
use crate::continuity::{History, Northbound, Observed, Observer, Told};
use crate::decide::continuity::timeline::{News, Outcome};
use crate::layout::Layout;
use crate::metrics::Registry;
use crate::snapshot::{Changes, Stores};
use crate::watch::copy::{Copied, Copying};
use crate::watch::print::Printer;

/// How long the first lists may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// The time between two looks at how far KubeVirt has copied the VM.
const COPY_TICK: Duration = Duration::from_secs(5);

/// Why nothing can be followed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The word is not a VM.
    #[error("{0:?} is not a VM: write NAME, vm/NAME or vmi/NAME")]
    NotAVm(String),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The endpoints are not some.
    #[error("{0}")]
    Refused(#[source] Refusal),
    /// The southbound database can't be followed.
    #[error("{0}")]
    Southbound(#[from] AppError),
    /// No client for the cluster can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A metric can't be registered: a defect.
    #[error("a metric: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The cluster can't be read.
    #[error("the cluster can't be read: {0}")]
    Unread(String),
    /// The VM does not run.
    #[error("VM {0} does not run in this cluster; -n NAMESPACE selects another namespace")]
    NotRunning(String),
    /// No migration ended in time.
    #[error("no migration of VM {vm} ended within {seconds} s")]
    TimedOut {
        /// The VM.
        vm: String,
        /// The time.
        seconds: u64,
    },
    /// A task ended that must not: a defect.
    #[error("the {0} has ended")]
    TaskEnded(&'static str),
}

/// Follows a migration, and says what happens as it does. Returns the exit code: 0 if its network was seen to
/// be right at both ends, 1 if not, and 2 if it failed.
///
/// # Errors
/// The cluster can't be read, the VM does not run, or nothing has ended in time.
pub async fn run(
    args: &Watch,
    layout: Layout,
    say: impl Fn(&str) -> Result<(), String>,
) -> Result<u8, WatchError> {
    let Some((_, name)) = named_vm(&args.vm) else {
        return Err(WatchError::NotAVm(args.vm.clone()));
    };
    let mut config = config(&args.cluster)?;
    if args.ovn_sb.is_some() {
        config.southbound.endpoints.clone_from(&args.ovn_sb);
    }
    if args.ovn_nb.is_some() {
        config.southbound.probe.endpoints.clone_from(&args.ovn_nb);
    }
    let kubeconfig = args.cluster.kubeconfig.as_deref();
    let connected = client::choose(kubeconfig, args.cluster.context.as_deref()).await?;
    let namespace = args.namespace.as_deref().unwrap_or(&connected.namespace);
    let vm = Vm {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let following = follow(&vm, &config, connected.client, args, layout, say);
    match args.timeout {
        None => following.await,
        Some(span) => match tokio::time::timeout(span.0, following).await {
            Ok(code) => code,
            Err(_) => Err(WatchError::TimedOut {
                vm: vm.to_string(),
                seconds: span.0.as_secs(),
            }),
        },
    }
}

#[derive(Clone, Debug)]
struct Vm {
    namespace: String,
    name: String,
}

impl std::fmt::Display for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

async fn follow(
    vm: &Vm,
    config: &Config,
    client: Client,
    args: &Watch,
    layout: Layout,
    say: impl Fn(&str) -> Result<(), String>,
) -> Result<u8, WatchError> {
    let registry = Registry::default();
    let changes = Changes::default();
    let readiness = Arc::default();
    let followed = southbound::follow(&config.southbound, true, &readiness, &changes, &registry)?;
    let (southbound, following) = match followed {
        Some((store, following)) => (Some(store), following),
        None => (None, Box::pin(std::future::pending()) as _),
    };
    let northbound = southbound::northbound(&config.southbound).map_err(WatchError::Refused)?;
    let cluster = Arc::new(ArcSwap::from_pointee(ClusterView::default()));
    let stores = Stores {
        cluster: Arc::clone(&cluster),
        southbound,
        changes: changes.clone(),
    };
    let metrics = Arc::new(Metrics::register(&registry)?);
    let scope = Scope::Namespace(vm.namespace.clone());
    let watching = watch(
        client.clone(),
        config.network(),
        scope,
        cluster,
        Arc::clone(&metrics),
        move |_| changes.cluster_changed(),
    );
    let (tell, told) = unbounded_channel();
    let mut observer = Observer::new(
        stores.clone(),
        northbound.map(Northbound::new),
        History::default(),
    )
    .of_vm(&vm.namespace, &vm.name);
    let observing = async {
        all_listed(&stores, vm, &metrics).await?;
        // The receiver is there for as long as anything is awaited here.
        let tell = |told| drop(tell.send(told));
        match observer.run(tell, |_| {}).await {}
    };
    let bar = progress(args.output.format);
    let view = View {
        vm,
        client,
        format: args.output.format,
        printer: Printer::new(layout, stores.southbound.is_some()),
        bar,
        say: &say,
    };
    tokio::select! {
        () = watching => Err(WatchError::TaskEnded("watch of the cluster")),
        () = following => Err(WatchError::TaskEnded("watch of the southbound database")),
        failed = observing => failed,
        code = view.show(told) => Ok(code),
    }
}

/// Waits until the cluster is known, as far as it is followed.
async fn all_listed(stores: &Stores, vm: &Vm, metrics: &Metrics) -> Result<(), WatchError> {
    let deadline = Instant::now() + LIST_TIMEOUT;
    let mut changes = stores.changes.subscribe();
    let listed = async {
        loop {
            let view = stores.cluster.load();
            let mut kinds = Scope::KINDS.iter();
            if kinds.all(|kind| view.is_listed(*kind)) && is_followed(stores) {
                return;
            }
            drop(view);
            let _ = changes.next(Duration::from_secs(1)).await;
        }
    };
    if timeout_at(deadline, listed).await.is_err() {
        return Err(WatchError::Unread(unlisted(stores, metrics)));
    }
    let view = stores.cluster.load();
    match view.vmi_named(&vm.namespace, &vm.name) {
        Some(_) => Ok(()),
        None => Err(WatchError::NotRunning(vm.to_string())),
    }
}

/// Whether the southbound database is known, where it is to be read.
fn is_followed(stores: &Stores) -> bool {
    let southbound = stores.southbound.as_ref();
    southbound.is_none_or(|source| source.connection.is_synced())
}

/// What the first lists fail of.
fn unlisted(stores: &Stores, metrics: &Metrics) -> String {
    let view = stores.cluster.load();
    if Scope::KINDS.iter().all(|kind| view.is_listed(*kind)) {
        let seconds = LIST_TIMEOUT.as_secs();
        return format!(
            "the southbound database does not answer within {seconds} s; check the addresses of --ovn-sb"
        );
    }
    let kinds = Scope::KINDS.iter().filter(|kind| !view.is_listed(**kind));
    let faults = kinds.map(|kind: &ObjectKind| match metrics.fault(*kind) {
        Some(fault) => format!("{}: {fault}", kind.name()),
        None => format!(
            "{}: no answer within {} s",
            kind.name(),
            LIST_TIMEOUT.as_secs()
        ),
    });
    faults.collect::<Vec<_>>().join("; ")
}

/// What is waited for, on a terminal.
fn progress(format: WatchOutput) -> ProgressBar {
    if format == WatchOutput::Json || !std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What shows what happens.
struct View<'a, S> {
    vm: &'a Vm,
    client: Client,
    format: WatchOutput,
    printer: Printer,
    bar: ProgressBar,
    say: &'a S,
}

impl<S: Fn(&str) -> Result<(), String>> View<'_, S> {
    async fn show(mut self, mut told: UnboundedReceiver<Told>) -> u8 {
        self.bar
            .set_message(format!("waiting for a migration of {}", self.vm));
        if self.format == WatchOutput::Table {
            self.put(&self.printer.waiting(&self.vm.to_string()));
        }
        let (ask, asked) = watch_channel(None);
        let (answer, mut answers) = unbounded_channel();
        let mut copying = pin!(copy(self.client.clone(), asked, answer));
        let mut last: Option<Observed> = None;
        let mut copied: Option<Copied> = None;
        loop {
            tokio::select! {
                news = told.recv() => {
                    let Some(Told::Migration(observed, news)) = news else {
                        continue;
                    };
                    self.tell(&observed, &news, copied.as_ref());
                    if let News::Ended(outcome) = news {
                        self.bar.finish_and_clear();
                        return code(outcome, &observed);
                    }
                    ask.send_replace(Some((*observed).clone()));
                    last = Some(*observed);
                }
                Some(now) = answers.recv() => {
                    copied = now;
                    let observed = last.as_ref().filter(|_| copied.is_some());
                    if let Some(observed) = observed.filter(|_| self.format == WatchOutput::Json) {
                        self.put(&json(observed, copied.as_ref()));
                    }
                }
                never = &mut copying => match never {},
            }
            if let Some(observed) = &last {
                self.bar
                    .set_message(print::awaited(observed, copied.as_ref()));
            }
        }
    }

    fn tell(&mut self, observed: &Observed, news: &News, copied: Option<&Copied>) {
        let text = match self.format {
            WatchOutput::Table => self.printer.news(observed, news),
            WatchOutput::Json => json(observed, copied),
        };
        self.put(&text);
    }

    fn put(&self, text: &str) {
        // Who has seen enough ends the command.
        let _ = self.bar.suspend(|| (self.say)(text));
    }
}

/// Tells again and again how far the migration is copied that was asked about last.
async fn copy(
    client: Client,
    asked: Asked<Option<Observed>>,
    answer: UnboundedSender<Option<Copied>>,
) -> Infallible {
    let mut tick = interval(COPY_TICK);
    let mut copying = Copying::new(client);
    loop {
        tick.tick().await;
        let observed = asked.borrow().clone();
        if let Some(observed) = observed {
            // The receiver is there for as long as this runs.
            let _ = answer.send(copying.look(&observed).await);
        }
    }
}

/// One line: the timeline as it is now, and how far the VM is copied.
fn json(observed: &Observed, copied: Option<&Copied>) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        timeline: MigrationTimeline,
        #[serde(skip_serializing_if = "Option::is_none")]
        copy: Option<&'a Copied>,
    }
    let line = Line {
        timeline: observed.into(),
        copy: copied,
    };
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

fn code(outcome: Outcome, observed: &Observed) -> u8 {
    match outcome {
        Outcome::Failed => 2,
        Outcome::Confirmed if observed.timeline.findings.is_empty() => 0,
        Outcome::Confirmed | Outcome::Unconfirmed | Outcome::Unobserved => 1,
    }
}
